"""Addresses and secrets of webhooks: what is refused when a channel is made, and when its name is resolved."""

import pytest
from django.core.exceptions import ValidationError

from alerts.webhooks import addresses, signature

PRIVATE = [
    "127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[ff02::1]",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_an_address_that_is_not_public_is_refused(host: str) -> None:
    with pytest.raises(ValidationError, match="not public"):
        addresses.check_address(f"http://{host}/hook")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "127.1"])
def test_a_name_of_such_an_address_is_refused_when_it_is_resolved(host: str) -> None:
    with pytest.raises(addresses.NotAllowed):
        addresses.resolve(host, 80)


@pytest.mark.parametrize(
    "address",
    [
        "", "hook", "ftp://example.com/", "file:///etc/passwd", "http://", "http://user@example.com/",
        "http://user:pw@example.com/", "http://example.com:99999/", "http://example.com/#a", "http://exa mple.com/",
        "http://example.com/\r\nX: 1", "http://example.com/" + "a" * 2_000, "http://[::1/", "http://예.com/",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_webhook_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        addresses.check_address(address)


def test_public_addresses_are_allowed() -> None:
    for address in ("https://hooks.slack.com/services/a", "http://1.1.1.1:8080/x?y=1", "https://[2606:4700::1]/"):
        addresses.check_address(address)
    assert addresses.resolve("1.1.1.1", 443) == "1.1.1.1"


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_short", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "é" * 40]
)
def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValidationError):
        signature.check_secret(secret)


def test_a_made_secret_is_one_and_each_is_another() -> None:
    made = {signature.make_secret() for _ in range(3)}
    assert len(made) == 3
    for secret in made:
        signature.check_secret(secret)
