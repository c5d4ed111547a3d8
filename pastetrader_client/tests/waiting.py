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


def close(client: Client, seconds: float = 0) -> None:
    """Close the client and wait for its thread. An attempt of it to send that is under way could reach a server that
    begins after this."""
    thread = client._sender.thread
    client.close(seconds)
    if thread is not None:
        thread.join(60)
        assert not thread.is_alive()
