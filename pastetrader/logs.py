"""How a line of the server's own log is written."""

import logging

from executions.secrets import at_work


class Line(logging.Formatter):
    """Clear of the secrets of the run that the thread works on, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        scrubber = at_work.get()
        return scrubber.text(text) if scrubber else text
