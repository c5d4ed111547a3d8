"""How many wrong passwords and tokens are taken before whoever tries them has to wait.

They are counted in the cache, so each process of a server counts for itself. Nothing is kept of a password or a token.
"""

import hashlib
import ipaddress
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest

logger = logging.getLogger(__name__)

LONGEST = 150  # characters of a name that are logged
SITE = 64  # bits of an IPv6 address that name a customer, who has the rest of them


def address_of(request: HttpRequest) -> str:
    """Of the client: what the connection says, or, behind PASTETRADER_PROXIES proxies, what the outermost of them says
    in X-Forwarded-For. Whatever stands before that in the header was written by the client."""
    said = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    number = settings.PROXIES
    return said[-number] if 0 < number <= len(said) else str(request.META.get("REMOTE_ADDR", ""))


def network_of(address: str) -> str:
    """What is counted as one: of IPv6 the network of a customer. Text that is no address counts by itself."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:LONGEST]
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, SITE), strict=False))


@dataclass(frozen=True)
class Counter:
    """Of what was wrong with the same `key`, since the first of it; at `most` in `seconds`, or any number where it is
    0."""

    key: str
    most: int
    seconds: int

    @classmethod
    def of(cls, most: int, seconds: int, *parts: str) -> "Counter":
        return cls(hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest(), most, seconds)

    def wait(self) -> int:
        """Seconds until another try is taken; 0 for now."""
        cache = caches["failures"]
        if not self.most or cache.get(self.key, 0) < self.most:
            return 0
        return max(1, round(float(cache.get(f"{self.key}:until", 0)) - time.time()))

    def add(self) -> None:
        cache = caches["failures"]
        if cache.add(self.key, 1, self.seconds):
            cache.set(f"{self.key}:until", time.time() + self.seconds, self.seconds)
        else:
            cache.incr(self.key)

    def forget(self) -> None:
        caches["failures"].delete(self.key)


class Tried:
    """One try of `what` by somebody."""

    def __init__(self, what: str, counters: Iterable[Counter]) -> None:
        self.what, self.counters = what, list(counters)

    def wait(self) -> int:
        return max(counter.wait() for counter in self.counters)

    def failed(self) -> None:
        """Counts it, and logs it."""
        for counter in self.counters:
            counter.add()
        wait = self.wait()
        then = f" Others are refused for {wait} seconds." if wait else ""
        logger.warning("%s failed.%s", self.what, then)

    def succeeded(self) -> None:
        """The first counter is that of the one who succeeded; the others count what else is tried."""
        self.counters[0].forget()


def login(request: HttpRequest, name: str) -> Tried:
    """Of one name from one address, of whatever names from that address, and of the name from wherever."""
    address, seconds = address_of(request), settings.LOGIN_WAIT_SECONDS
    network, who = network_of(address), name.casefold()
    limits = (
        (settings.LOGIN_FAILURES, network, who),
        (settings.LOGIN_FAILURES_ADDRESS, network, ""),
        (settings.LOGIN_FAILURES_NAME, "", who),
    )
    counters = [Counter.of(most, seconds, "login", *parts) for most, *parts in limits]
    return Tried(f"The login as {name[:LONGEST]!r} from {address[:LONGEST]!r}", counters)


def token(request: HttpRequest) -> Tried:
    address = address_of(request)
    counter = Counter.of(settings.TOKEN_FAILURES, settings.TOKEN_WAIT_SECONDS, "token", network_of(address))
    return Tried(f"A request with a wrong token from {address[:LONGEST]!r}", [counter])


# --- Passwords, one after the other -----------------------------------------
PATIENCE = 10.0  # seconds that a login waits for those before it
_turns = BoundedSemaphore(settings.LOGINS_AT_ONCE)


@contextmanager
def take_turn() -> Iterator[bool]:
    """Checking a password keeps a processor busy for half a second: few are checked at once, and those who wait hold
    nothing. Whether it is one's turn within PATIENCE."""
    is_ours = _turns.acquire(timeout=PATIENCE)
    try:
        yield is_ours
    finally:
        if is_ours:
            _turns.release()
