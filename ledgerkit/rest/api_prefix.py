"""Prefix of the API's addresses. Errors below it are JSON, also where no view matches."""

from django.urls import NoReverseMatch, get_script_prefix, reverse

from ledgerkit.conf import ledgerkit_settings

NAMESPACE = "ledger"


def is_api(path_info: str) -> bool:
    """Return whether an address belongs to the API."""
    return path_info.startswith(ledgerkit_settings.API_PREFIX or _prefix())


def _prefix() -> str:
    try:
        return "/" + reverse(f"{NAMESPACE}:api-root").removeprefix(get_script_prefix())
    except NoReverseMatch:
        return "no API"  # which no address begins with
