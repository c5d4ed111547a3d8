"""`manage.py serve` as an init system runs it: whenever it ends, it is started again."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from pastetrader.tests.live_server import ROOT

WORKERS = 2
RESTART = 0.5  # seconds until it is started again
REPLACED_IN = 30.0  # seconds, in which the server starts another process for one that was killed
ALIVE = {psutil.STATUS_RUNNING, psutil.STATUS_SLEEPING, psutil.STATUS_DISK_SLEEP, psutil.STATUS_IDLE}


class Site:
    def __init__(self, home: Path, database: str) -> None:
        self.home, self.log = home, home / "server.log"
        self.port = free_port()
        self.environment = os.environ | {
            "DATABASE_URL": database, "PASTETRADER_LOCAL": str(home / "local"), "PYTHONUNBUFFERED": "1",
            "DATABASE_POOL_MAX": "4", "DATABASE_POOL_TIMEOUT": "2", "EXECUTIONS_UPKEEP_EVERY_SECONDS": "5",
            "TIMEOUT_HEADERS": "4", "TIMEOUT_BODY": "4", "EXECUTIONS_LOG_EVERY_SECONDS": "0",
            "ALERTS_PRIVATE_ADDRESSES": "1", "ALERTS_SEND_SECONDS": "2", "ALERTS_SCAN_EVERY_SECONDS": "2",
        }  # fmt: skip
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.process: subprocess.Popen[bytes] | None = None
        self.is_wanted = True
        self.keeper = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        self.log.touch()
        self.keeper.start()

    def _keep(self) -> None:
        while self.is_wanted:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "manage.py", "serve", "--port", str(self.port), "--workers", str(WORKERS),
                     "--no-demo", "--superuser"],
                    cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True,
                )  # fmt: skip
            self.process.wait()
            time.sleep(RESTART)

    def stop(self) -> None:
        self.is_wanted = False
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def manage(self, *arguments: str) -> str:
        """Run a command of manage.py. Return what it prints."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the first process, and wait until all of them have ended."""
        assert self.process is not None
        first = psutil.Process(self.process.pid)
        every = [first, *first.children()]
        first.send_signal(number)
        psutil.wait_procs(every, timeout=30)

    def kill_worker(self, chance: random.Random) -> None:
        self._kill(lambda: self._children(serving=True), chance)

    def kill_upkeep(self, chance: random.Random) -> None:
        self._kill(lambda: self._children(serving=False), chance)

    def _kill(self, find: Callable[[], list[psutil.Process]], chance: random.Random) -> None:
        """Kill one of these children; one that was killed before may not be replaced yet."""
        until = time.monotonic() + REPLACED_IN
        while not (found := find()):
            if time.monotonic() > until:
                raise RuntimeError(f"there is no such process after {REPLACED_IN:.0f} s")
            time.sleep(0.05)
        chance.choice(found).send_signal(signal.SIGKILL)

    def _children(self, *, serving: bool) -> list[psutil.Process]:
        """Return the children that listen on the port, which are the workers, or the other one, which does upkeep. A
        new one has the sockets of all at first."""
        assert self.process is not None
        with suppress(psutil.Error):
            children = psutil.Process(self.process.pid).children()
            return [each for each in children if self._listens(each) == serving and each.status() in ALIVE]
        return []

    def _listens(self, process: psutil.Process) -> bool:
        lines = process.net_connections("tcp")
        return any(line.status == psutil.CONN_LISTEN and line.laddr.port == self.port for line in lines)

    def log_since(self, offset: int) -> str:
        with self.log.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")

    def offset(self) -> int:
        """Return where the log ends now."""
        return self.log.stat().st_size


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
