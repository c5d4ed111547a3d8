"""`manage.py serve` as a process, and how to talk to it."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
ALL_SCOPES = [
    f"--scope={scope}" for scope in ("executions:read", "executions:report", "executions:control", "workflows:write")
]
Serve = Callable[..., "Site"]


class Site:
    def __init__(self, local: Path, demo: bool, *more: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        options = ["--port", "0", *([] if demo else ["--no-demo"]), *more]
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error::Warning:django", "manage.py", "serve", *options],
            cwd=ROOT, env=kept | {"PASTETRADER_LOCAL": str(local)}, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.local, self.output = local, ""

    def wait(self) -> "Site":
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if "Ctrl-C stops" in line:
                return self
        raise AssertionError(self.output + self.process.communicate()[1])

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    @property
    def address(self) -> str:
        return re.findall(r"http://\S+:\d+", self.output)[0]

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.address + path, timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def children(self) -> list[psutil.Process]:
        """Return the server's processes but those of PostgreSQL. They may end while they are looked at."""
        return [each for each in psutil.Process(self.process.pid).children() if _is_ours(each)]

    def interrupt(self, sent: signal.Signals) -> tuple[int, str]:
        """Send a signal to the whole process group, as a terminal does."""
        os.killpg(self.process.pid, sent)
        out, err = self.process.communicate(timeout=60)
        self.output += out
        return self.process.returncode, err


def _is_ours(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.name() != "postgres"
    except psutil.NoSuchProcess:
        return False
