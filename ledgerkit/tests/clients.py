"""Django's test client for a user."""

from typing import Any

from django.test import Client


def client_of(user: Any) -> Client:
    """Return a client that is logged in as the user."""
    client = Client()
    client.force_login(user)
    return client
