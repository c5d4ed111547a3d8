import time
from collections.abc import Callable

from pastetrader_client import Client


class PatientClient(Client):
    """A client that gives a busy machine time."""

    def flush(self, seconds: float = 60.0) -> bool:
        return super().flush(seconds)


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)
