"""The processes of test_celery.py: a Redis, workers, and those that send tasks."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pastetrader.tests.live_server import ROOT
from pastetrader_client.tests.waiting import wait_until

REDIS = shutil.which("redis-server")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def start_redis(port: int, folder: Path) -> subprocess.Popen[bytes]:
    """Start a Redis and wait until it takes connections."""
    command = [str(REDIS), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_until(lambda: takes_connections(port))
    return process


def takes_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


@contextmanager
def started_worker(environment: dict[str, str], log: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker, a group of processes; end it after the block. It has no neighbours, and does not look for any."""
    application = ["-m", "celery", "-A", "pastetrader.tests.celery_app"]
    command = [sys.executable, *application, "worker", "-l", "INFO", "--without-mingle", *options]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        while "ready." not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield process
        process.terminate()
        process.wait(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


SENDER = """
import sys
from celery import chain, chord, group
from pastetrader.tests.celery_app import *
def first(result):
    return first(result.parent) if getattr(result, "parent", None) else result
def revoked(result):
    result.revoke()
    return result
for line in sys.stdin:
    print(eval(line).id, flush=True)
"""
type Send = Callable[[str], str]


@contextmanager
def started_sender(environment: dict[str, str]) -> Iterator[Send]:
    """Start a process that sends tasks; yield a function that sends one and returns its id. What it logs is shown with
    the output of a test that fails; in a pipe that nobody reads it would block."""
    process = subprocess.Popen(
        [sys.executable, "-c", SENDER], cwd=ROOT, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    given, said = process.stdin, process.stdout

    def send(code: str) -> str:
        given.write(f"{code}\n")
        given.flush()
        id = said.readline().strip()
        assert id, f"The sender has ended: {process.wait(60)}."
        return id

    try:
        yield send
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


def run_python(code: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, text=True, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def kill(worker: subprocess.Popen[bytes]) -> None:
    """Kill all processes of a worker at once, as with their container."""
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
