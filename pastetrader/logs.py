"""How a line of the server's own log is written."""

import logging

from executions.secrets import at_work


class Line(logging.Formatter):
    """Clear of the secrets of the run that the thread works on, tracebacks included; and of what was sent with a
    request of the API that broke down."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for scrubber in (at_work.get(), getattr(getattr(record, "request", None), "scrubber", None)):
            text = scrubber.text(text) if scrubber else text
        return text
