"""Throttling of wrong passwords and tokens, and a limit on concurrent checks of passwords.

Failures are counted in the cache. No password or token is stored.
"""

import hashlib
import ipaddress
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import BoundedSemaphore

from django.core.cache import caches
from django.http import HttpRequest

from ledgerkit.shared_counts import SharedCounts, exclusive
from tokens.conf import tokens_settings

logger = logging.getLogger(__name__)

MAX_LOGGED_NAME = 150  # characters of a name that are logged
SITE = 64  # prefix length of an IPv6 customer network


def address_of(request: HttpRequest) -> str:
    """Return the client's address: the connection's, or, behind TOKENS["PROXIES"] proxies, the one that the outermost
    proxy added to X-Forwarded-For. Earlier entries of the header are under the client's control."""
    addresses = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    number = tokens_settings.PROXIES
    return addresses[-number] if 0 < number <= len(addresses) else str(request.META.get("REMOTE_ADDR", ""))


def network_of(address: str) -> str:
    """Return the unit that is counted: an IPv4 address, or an IPv6 customer network. Text that is no address counts as
    it is."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:MAX_LOGGED_NAME]
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, SITE), strict=False))


@dataclass(frozen=True)
class Counter:
    """A counter of failures under `key`: `most` failures are allowed in `seconds` since the first; 0 disables it."""

    key: str
    most: int
    seconds: int

    @classmethod
    def from_parts(cls, most: int, seconds: int, *parts: str) -> "Counter":
        return cls(hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest(), most, seconds)

    def wait(self) -> int:
        """Return the seconds until another attempt is accepted; 0 if it is accepted now."""
        cache = caches[tokens_settings.CACHE]
        if not self.most or cache.get(self.key, 0) < self.most:
            return 0
        return max(1, round(float(cache.get(f"{self.key}:until", 0)) - time.time()))

    def add(self) -> bool:
        """Count one more. Return whether it is within the limit."""
        return not self.most or self._increment() <= self.most

    def _increment(self) -> int:
        """Return the new count: of two that count at once, in whichever process, one gets the last place."""
        cache = caches[tokens_settings.CACHE]
        while True:
            if cache.add(self.key, 1, self.seconds):
                cache.set(f"{self.key}:until", time.time() + self.seconds, self.seconds)
                return 1
            with suppress(ValueError):  # it expired in between
                return int(cache.incr(self.key))

    def take_back(self) -> None:
        with suppress(ValueError):  # it has expired
            caches[tokens_settings.CACHE].decr(self.key)

    def forget(self) -> None:
        caches[tokens_settings.CACHE].delete(self.key)


@dataclass(frozen=True)
class Attempt:
    """An attempt to log in or to use a token, described by `what` in the log."""

    what: str
    counters: Sequence[Counter]

    def wait(self) -> int:
        return max(counter.wait() for counter in self.counters)

    def count(self) -> bool:
        """Count the attempt as a failure before its result is known, so that concurrent attempts cannot exceed the
        limit. Return whether the attempt may be made."""
        is_within = [counter.add() for counter in self.counters]
        if not all(is_within):
            self.take_back()
        return all(is_within)

    def take_back(self) -> None:
        """Take the count of the attempt back."""
        for counter in self.counters:
            counter.take_back()

    def log_failure(self) -> None:
        wait = self.wait()
        then = f" Others are refused for {wait} seconds." if wait else ""
        logger.warning("%s failed.%s", self.what, then)

    def reset(self) -> None:
        """Take it back, and reset the first counter, of this user at this address. The others also count attempts on
        other names."""
        self.take_back()
        self.counters[0].forget()


def login_attempt(request: HttpRequest, name: str) -> Attempt:
    """Return the attempt, counted per name and address, per address, and per name."""
    address, seconds = address_of(request), tokens_settings.LOGIN_WAIT_SECONDS
    network, who = network_of(address), name.casefold()
    limits = (
        (tokens_settings.LOGIN_FAILURES, network, who),
        (tokens_settings.LOGIN_FAILURES_ADDRESS, network, ""),
        (tokens_settings.LOGIN_FAILURES_NAME, "", who),
    )
    counters = [Counter.from_parts(most, seconds, "login", *parts) for most, *parts in limits]
    return Attempt(f"The login as {name[:MAX_LOGGED_NAME]!r} from {address[:MAX_LOGGED_NAME]!r}", counters)


def token_attempt(request: HttpRequest) -> Attempt:
    address = address_of(request)
    counter = Counter.from_parts(
        tokens_settings.TOKEN_FAILURES, tokens_settings.TOKEN_WAIT_SECONDS, "token", network_of(address)
    )
    return Attempt(f"A request with a wrong token from {address[:MAX_LOGGED_NAME]!r}", [counter])


# --- Concurrent password checks ---------------------------------------------
PATIENCE = 10.0  # seconds that a login waits for a turn
AGAIN = 0.03  # seconds until it tries again
MOST_WAITING = 8  # logins of a process that wait: each occupies a thread
_checked = SharedCounts()
_waiting = BoundedSemaphore(MOST_WAITING)


@contextmanager
def take_turn() -> Iterator[bool]:
    """Limit how many passwords are checked at once, in all processes of a server: a check takes half a second of CPU,
    and waiting logins hold nothing but a thread. Yields False after PATIENCE seconds without a turn, and at once if
    MOST_WAITING others wait."""
    is_ours = _take_place() or _wait_for_place()
    try:
        yield is_ours
    finally:
        if is_ours:
            _checked.add("", -1)


def _wait_for_place() -> bool:
    if not _waiting.acquire(blocking=False):
        return False
    try:
        deadline = time.monotonic() + PATIENCE
        while not (is_ours := _take_place()) and time.monotonic() < deadline:
            time.sleep(AGAIN)
        return is_ours
    finally:
        _waiting.release()


def _take_place() -> bool:
    with exclusive():
        is_free = _checked.total() < tokens_settings.LOGINS_AT_ONCE
        if is_free:
            _checked.add("")
        return is_free
