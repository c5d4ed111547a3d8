"""Webhooks: where they may be sent, how they are signed, and the request itself. Nothing here knows the database."""
