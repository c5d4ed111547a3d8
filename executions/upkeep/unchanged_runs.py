"""Runs that upkeep could not change in one look: a line of the log for each kind of error, once a minute. Where a disk
is full no run can be changed, and a line for each, every ten seconds, would fill the log."""

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
            log_unchanged_runs.of(self.act, kind.__name__)(len(runs), names, error=first)
