"""`python -m fuzz`: a server of its own with a small session in its ledger, schemathesis against it, away with both.

Options go on to `schemathesis run`. A traceback in the server's log is a fault too, whatever was answered.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from executions.tests.api.recording import Answer, Recorder, play
from fuzz.hooks import SCRATCH
from pastetrader.tests.site import ROOT

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


class Ledger:
    """A server with an empty database, and a token of its only user."""

    def __init__(self, local: Path) -> None:
        self.local, self.log = local, local / "log"
        self.env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        self.env |= {"PASTETRADER_LOCAL": str(local), "PASTETRADER_DURABLE": "0"}
        serve = [sys.executable, "manage.py", "serve", "--port", "0", "--no-demo"]
        with self.log.open("w") as log:  # a pipe that nobody reads would stop the server once it is full
            self.process = subprocess.Popen(
                serve, cwd=ROOT, env=self.env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            )
        self.address = self._address()
        self.token = self._manage("create_token", "admin", "--name", "fuzz").strip()

    def _address(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("API"):
                return line.split()[1].removesuffix("/api/v1/")
        raise RuntimeError(self.log.read_text())

    def _manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        made = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, check=True)
        return made.stdout

    def call(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
        said = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"} | headers
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}/api/v1/{path}", data, said, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                is_stream = answer.headers["Content-Type"] == "text/event-stream"
                told = text.decode() if is_stream else json.loads(text) if text else None
                return answer.status, told, dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read()), dict(error.headers)

    def stop(self) -> str:
        """What it wrote to its log."""
        self.process.terminate()
        self.process.communicate(timeout=60)
        return self.log.read_text()


def main(options: list[str]) -> int:
    home = Path(tempfile.mkdtemp(prefix="pastetrader-fuzz-")).resolve()
    ledger = Ledger(home)
    try:
        play(Recorder(ledger.call))
        ledger.call("POST", "workflows/", {"id": SCRATCH, "name": "Scratch"}, {})
        code = _run(ledger, options)
    finally:
        said = ledger.stop()
        shutil.rmtree(home)
    if "Traceback" in said:
        sys.stderr.write(said)
        return 1
    return code


def _run(ledger: Ledger, options: list[str]) -> int:
    command = [SCHEMATHESIS, "run", ROOT / "schema.yaml", "--url", ledger.address, *options]
    env = os.environ | {"LEDGER_TOKEN": ledger.token}
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
