"""The product's own server as a process with its own folder, and HTTP requests to it."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from executions.tests.api.recording import Answer
from pastetrader.tests.live_server import ALL_SCOPES, ROOT


class Server:
    """A server with an empty database, and a token of its only user, who has the password `password`."""

    def __init__(self, local: Path, name: str = "fuzz") -> None:
        self.local, self.log = local, local / "log"
        self.env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        self.env |= {"PASTETRADER_LOCAL": str(local), "PASTETRADER_DURABLE": "0"}
        self.env["TOKEN_FAILURES"] = "0"  # hundreds of wrong tokens are tried
        serve = [sys.executable, "manage.py", "serve", "--port", "0", "--no-demo"]
        with self.log.open("w") as log:  # a pipe that is not read would block the server once it is full
            self.process = subprocess.Popen(
                serve, cwd=ROOT, env=self.env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            )
        self.output = self._wait()
        self.address = re.findall(r"http://\S+:\d+", self.output)[0]
        self.password, self.token = self.first_keys(name)

    def first_keys(self, name: str) -> tuple[str, str]:
        """Return the password of the user whom the server has made, and a new token of that name."""
        [password] = re.findall(r"admin, password (\S+)", self.output)
        return password, self.manage("create_token", "admin", *ALL_SCOPES, "--name", name).strip()

    def _wait(self) -> str:
        assert self.process.stdout is not None
        output = ""
        for line in self.process.stdout:
            output += line
            if "Ctrl-C stops" in line:
                return output
        raise RuntimeError(output + self.log.read_text())

    def manage(self, *arguments: str) -> str:
        """Run a command of manage.py; return its stdout. Raises CalledProcessError."""
        command = [sys.executable, "manage.py", *arguments]
        made = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, check=True)
        return made.stdout

    def call(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"} | headers
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}/api/v1/{path}", data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                is_stream = answer.headers["Content-Type"] == "text/event-stream"
                content = text.decode() if is_stream else json.loads(text) if text else None
                return answer.status, content, dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read()), dict(error.headers)

    def signal(self, number: int) -> None:
        """Send a signal to the server, its workers among it."""
        server = self.process.pid
        workers = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        for process in (server, *map(int, workers)):
            os.kill(process, number)

    def stop(self) -> str:
        """Stop the server; return its log."""
        self.process.terminate()
        self.process.communicate(timeout=60)
        return self.log.read_text()
