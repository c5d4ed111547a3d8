"""The Celery application of test_celery.py: its broker and its ledger are named by environment variables."""

import logging
import os
import signal
import time
from pathlib import Path
from typing import Any

from celery import Celery, shared_task
from celery.exceptions import Ignore

from pastetrader_client import Client
from pastetrader_client.celery import instrument

app = Celery("shop", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.broker_transport_options = {"visibility_timeout": int(os.environ.get("VISIBILITY_TIMEOUT", "3600"))}
app.conf.update(broker_connection_retry_on_startup=True, worker_prefetch_multiplier=1, worker_hijack_root_logger=True)
recorder = None
if url := os.environ.get("PASTETRADER_URL"):  # a heartbeat of a second, so that a test need not wait for a cancel
    client = Client(url, os.environ["PASTETRADER_TOKEN"], name="shop", sigterm=False, heartbeat=1.0, lease_seconds=60)
    recorder = instrument(app, client, timeout_seconds=int(os.environ.get("RUN_SECONDS", "0")))

logger = logging.getLogger("shop")


@shared_task
def add(x: int, y: int = 1) -> int:
    logger.info("adding %d and %d", x, y)
    return x + y


@shared_task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@shared_task
def opening() -> None:
    """Begin the chains of several processes."""


def step() -> None:
    """Follow it."""


STEPS = [shared_task(name=f"pastetrader.tests.celery_app.step_{number}")(step) for number in range(8)]


@shared_task
def price(symbol: str, api_key: str = "") -> str:
    raise KeyError(symbol)


@shared_task(bind=True, max_retries=2)
def flaky(self: Any) -> str:
    try:
        if self.request.retries == 0:
            raise ConnectionError("not yet")
    except ConnectionError as error:
        raise self.retry(exc=error, countdown=0) from error
    return "ok"


@shared_task(bind=True, max_retries=2)
def unready(self: Any) -> str:
    """Retry outside of an `except` block: another process starts the next attempt before this one has ended."""
    if self.request.retries == 2:
        return "ok"
    error = ConnectionError("not ready") if self.request.retries == 0 else None
    retry = self.retry(exc=error, countdown=0, throw=False)
    time.sleep(0.7)
    raise retry


@shared_task
def parent() -> None:
    add.delay(1, 2)


@shared_task
def slow() -> None:
    time.sleep(60)


@shared_task
def cancelled_by_an_operator() -> None:
    time.sleep(60)


@shared_task
def sent_without_reporting() -> None:
    pass


@shared_task(acks_late=True, reject_on_worker_lost=True)
def killed_once(marker: str) -> str:
    """Kill the process that executes it; the message is delivered again."""
    if not Path(marker).exists():
        Path(marker).touch()
        assert recorder is not None
        assert recorder.client.flush(30)  # what waits in the memory of a killed process is lost
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


@shared_task(acks_late=True)
def killed_with_its_worker(marker: str) -> str:
    """Wait to be killed; the message is delivered again to another worker."""
    if not Path(marker).exists():
        Path(marker).touch()
        time.sleep(60)
    return "survived"


@shared_task(time_limit=1)
def too_long() -> None:
    time.sleep(60)


@shared_task
def lost() -> None:
    """Kill the process that executes it, as the system does where memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task
def ignored() -> None:
    raise Ignore


@shared_task(bind=True)
def replaced(self: Any) -> None:
    raise self.replace(add.s(1))


@shared_task
def waits_for(marker: str) -> None:
    while not Path(marker).exists():
        time.sleep(0.05)
