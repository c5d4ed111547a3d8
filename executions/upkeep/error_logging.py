"""Logging of errors of runs that upkeep could not change: a message for each kind of error, once a minute. With a full
disk no run can be changed, and a message for each run, every ten seconds, would fill the log."""

import logging
from uuid import UUID

from ledgerkit.rate_limited_logging import RateLimitedLogger

NAMED = 20  # runs in a line
log_unchanged_runs = RateLimitedLogger(
    logging.getLogger(__name__),
    "Upkeep could not change runs that are over time, or nodes of theirs (%s): %s",
    logging.ERROR,
)


class UnchangedRuns:
    """Runs that an act could not change, with the first error of each kind."""

    def __init__(self, act: str) -> None:
        self.act = act
        self.found: dict[type[Exception], tuple[Exception, dict[UUID, None]]] = {}

    def add(self, run: UUID, error: Exception) -> None:
        _first, runs = self.found.setdefault(type(error), (error, {}))
        runs[run] = None

    def log(self) -> None:
        for kind, (first, runs) in self.found.items():
            names = ", ".join(map(str, [*runs][:NAMED])) + (", ..." if len(runs) > NAMED else ".")
            log_unchanged_runs.for_kind(self.act, kind.__name__)(len(runs), names, error=first)
