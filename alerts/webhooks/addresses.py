"""Addresses to which the server may send: public ones, unless ALERTS["PRIVATE_ADDRESSES"] allows all.

A user who may make a channel could else let the server call what only the server reaches (server-side request forgery).
A name is resolved once, all of its addresses are checked, and the connection is made to a checked one.
"""

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from alerts.conf import alerts_settings

MOST_CHARACTERS = 2_000
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # an IPv4 address is in its last 32 bits
NOT_AN_ADDRESS = _("Expected an address such as https://example.com/hook, without a user name and without a fragment.")
PRIVATE = _("This address is not public: the setting ALERTS['PRIVATE_ADDRESSES'] allows it.")


class NotAllowed(Exception):
    """The host has an address that is not public."""


def check_address(address: str) -> None:
    """Raise ValidationError on `address` if it is not that of a webhook, or is a private one without a name."""
    parts = _split(address)
    if parts is None or not parts.hostname or parts.scheme not in {"http", "https"} or "@" in parts.netloc:
        raise ValidationError({"address": NOT_AN_ADDRESS}, code="invalid")
    if parts.fragment or len(address) > MOST_CHARACTERS or not address.isascii() or not address.isprintable():
        raise ValidationError({"address": NOT_AN_ADDRESS}, code="invalid")
    if " " in address or parts.port == 0:
        raise ValidationError({"address": NOT_AN_ADDRESS}, code="invalid")
    if _is_number(parts.hostname) and not _is_allowed(parts.hostname):
        raise ValidationError({"address": PRIVATE}, code="invalid")


def resolve(host: str, port: int) -> str:
    """Return an address of the host. Raises NotAllowed if any of its addresses is not public, OSError if there is
    none."""
    found = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if refused := [each for each in found if not _is_allowed(each)]:
        raise NotAllowed(f"{host} is {refused[0]}, which is not a public address.")
    return found[0]


def _split(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018  # raises for a port that is no number
    except ValueError:
        return None
    return parts


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_allowed(address: str) -> bool:
    return alerts_settings.PRIVATE_ADDRESSES or _is_public(ipaddress.ip_address(address.partition("%")[0]))


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in NAT64:
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if any(each is not None and not _is_public(each) for each in inner):
            return False
    return address.is_global and not address.is_multicast
