"""Rate limits of the API, for each caller.

REST framework's own limit reads a list from the cache, and writes it back with one request more: of requests at the
same moment, some would not be counted.
"""

from rest_framework import throttling
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from ledgerkit.rest.callers import caller_id

from .conf import tokens_settings
from .failed_attempts import Counter


class WriteThrottle(throttling.SimpleRateThrottle):
    """Throttle write requests per caller. Anonymous requests were rejected before. A throttled request does not reach
    the idempotency check, so nothing is stored for its key."""

    scope = "write"
    num_requests: int
    duration: int

    def get_rate(self) -> str | None:
        rate: str | None = getattr(tokens_settings, f"THROTTLE_{self.scope.upper()}")
        return rate

    def applies(self, method: str | None) -> bool:
        return method not in SAFE_METHODS

    def allow_request(self, request: Request, view: object) -> bool:
        if self.rate is None or (key := self.get_cache_key(request, view)) is None:
            return True
        self.counter = Counter.of(self.num_requests, self.duration, key)
        return self.counter.add()

    def wait(self) -> float:
        """Return the seconds until the next request is allowed."""
        return max(1, self.counter.wait())

    def get_cache_key(self, request: Request, view: object) -> str | None:
        ident = caller_id(request)
        return self.cache_format % {"scope": self.scope, "ident": ident} if self.applies(request.method) else None


class ReadThrottle(WriteThrottle):
    scope = "read"

    def applies(self, method: str | None) -> bool:
        return method in SAFE_METHODS
