"""Command that reads the data of a page over the API."""

from uuid import UUID

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from ledgerkit.rest.api_prefix import NAMESPACE


def curl_command(request: HttpRequest, view: str, pk: UUID) -> str:
    """Return the command, with the token in a variable; "" in a project without the API."""
    try:
        address = request.build_absolute_uri(reverse(f"{NAMESPACE}:{view}", args=[pk]))
    except NoReverseMatch:
        return ""
    return f'curl -H "Authorization: Bearer $TOKEN" {address}'
