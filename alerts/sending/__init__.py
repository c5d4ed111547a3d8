"""Building, signing and sending alert messages, and their outbox."""
