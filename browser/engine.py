"""A client of browser.log_writer: starts it as a process and sends it commands."""

import json
import subprocess
import sys
from typing import Any

from browser.live_site import Stage
from pastetrader.tests.live_server import ROOT


class Engine:
    """`ids` are those of the run and its two nodes."""

    def __init__(self, site: Stage, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "browser.log_writer", site.address, site.token, name],
            cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.ids: dict[str, str] = self._hear()

    def __call__(self, verb: str, what: str) -> tuple[int, Any]:
        """Send a command; return the status and the body of the response."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{verb} {what}\n")
        self.process.stdin.flush()
        status, body = self._hear()
        return status, body

    def stop(self) -> None:
        self.process.communicate(timeout=30)

    def _hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())
