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

SECONDS = {"sec": 1, "min": 60, "hour": 3_600, "day": 86_400}


class CallerThrottle(throttling.BaseThrottle):
    """Throttle reads and writes of each caller. Anonymous requests were rejected before. A throttled request does not
    reach the idempotency check, so nothing is stored for its key."""

    counter: Counter

    def allow_request(self, request: Request, view: object) -> bool:
        is_read = request.method in SAFE_METHODS
        rate = tokens_settings.THROTTLE_READ if is_read else tokens_settings.THROTTLE_WRITE
        if rate is None:
            return True
        most, _, period = rate.partition("/")
        kind = "read" if is_read else "write"
        self.counter = Counter.from_parts(int(most), SECONDS[period], f"throttle_{kind}_{caller_id(request)}")
        return self.counter.add()

    def wait(self) -> float:
        """Return the seconds until the next request is allowed."""
        return max(1, self.counter.wait())
