"""Rate-limited logging of frequent events."""

import logging
import time

from ledgerkit.conf import ledgerkit_settings

NEVER = float("-inf")


class RateLimitedLogger:
    """Log an event at most once in `LEDGERKIT["LOG_EVERY_SECONDS"]`, with the number of repetitions since the last
    message."""

    def __init__(self, logger: logging.Logger, sentence: str, level: int = logging.WARNING) -> None:
        self.logger, self.sentence, self.level = logger, sentence, level
        self.last, self.count = NEVER, 0
        self.kinds: dict[tuple[str, ...], RateLimitedLogger] = {}

    def __call__(self, *values: object, error: BaseException | None = None) -> None:
        """Log the event, with the traceback of the error if there is one."""
        self.count += 1
        if time.monotonic() - self.last >= ledgerkit_settings.LOG_EVERY_SECONDS:
            again = f" ({self.count} times since the last such line)" if self.count > 1 else ""
            self.logger.log(self.level, "%s%s", self.sentence % values, again, exc_info=error)
            self.last, self.count = time.monotonic(), 0

    def for_kind(self, *kind: str) -> "RateLimitedLogger":
        """Return the logger for one kind of the event. Each kind has its own limit. Use few kinds: a logger is never
        removed."""
        return self.kinds.setdefault(kind, RateLimitedLogger(self.logger, self.sentence, self.level))
