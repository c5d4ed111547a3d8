"""Rate-limited logging of frequent events."""

import logging
import time

EVERY = 60.0  # seconds between two log messages of one kind


class RateLimitedLogger:
    """Log an event at most once per EVERY, with the number of repetitions since the last message."""

    def __init__(self, logger: logging.Logger, sentence: str) -> None:
        self.logger, self.sentence = logger, sentence
        self.last, self.count = -EVERY, 0

    def __call__(self, *values: object, error: BaseException | None = None) -> None:
        """Log it with the traceback of the error, if there is one."""
        self.count += 1
        if time.monotonic() - self.last >= EVERY:
            again = f" ({self.count} times since the last such line)" if self.count > 1 else ""
            self.logger.warning("%s%s", self.sentence % values, again, exc_info=error)
            self.last, self.count = time.monotonic(), 0
