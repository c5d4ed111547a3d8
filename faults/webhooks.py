"""A receiver of webhooks as a process, and a client whose failures are to be delivered to it."""

import json
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

from pastetrader.tests.live_server import ROOT

from .calls import Calls, Unanswered
from .journal import Journal, Record
from .run_scenarios import RUNS

ANSWERED = "204"
EVERY = 1.0  # seconds between two runs that fail
DELIVERED_IN = 180.0  # seconds: a process that is killed keeps a message for 64, pauses between tries grow to 80
SECRET = "whsec_ZmF1bHRzIG9uIHB1cnBvc2UgYXJlIHRvbGQ="


class Receiver:
    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.address = f"http://127.0.0.1:{port}/hook"
        self.process: subprocess.Popen[bytes] | None = None

    def answer(self, mode: str) -> None:
        """Answer so from now on: "204", "500", or "hang"."""
        new = self.folder / "mode.new"
        new.write_text(mode)
        new.replace(self.folder / "mode")

    def start(self) -> None:
        if not self.folder.exists():
            self.folder.mkdir()
            (self.folder / "messages").touch()
            self.answer(ANSWERED)
        command = [sys.executable, "-m", "faults.receiver", str(self.port), str(self.folder)]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def is_tried(self, mode: str) -> bool:
        """Return whether the newest message came while it answered so."""
        messages = self.messages()
        return bool(messages) and messages[-1]["mode"] == mode

    def messages(self) -> list[dict[str, str]]:
        lines = (self.folder / "messages").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def fault(self, runs: set[str]) -> str | None:
        """Wait until the failures of these runs are delivered. Return what is wrong."""
        until = time.monotonic() + DELIVERED_IN
        while missing := self.find_undelivered(runs):
            if time.monotonic() > until:
                count = f"{len(missing)} of {len(runs)} failures"
                return f"{count} were not delivered in {DELIVERED_IN:.0f} s, such as {min(missing)}"
            time.sleep(0.2)
        return "; ".join(self.id_faults()[:3]) or None

    def find_undelivered(self, runs: set[str]) -> set[str]:
        """Return the runs of which no message was answered with success."""
        return runs - {each["run"] for each in self.messages() if each["mode"] == ANSWERED}

    def id_faults(self) -> list[str]:
        """Return what is wrong with the ids of the messages: each run that failed has one."""
        ids: dict[str, set[str]] = defaultdict(set)
        for each in self.messages():
            ids[each["run"]].add(each["id"])
        return [
            f"the failure of {run} was delivered as {', '.join(sorted(found))}"
            for run, found in ids.items()
            if len(found) > 1
        ]


class Failing(threading.Thread):
    """A client whose runs fail, one a second. `runs` are those whose failure was acknowledged, `errors` are answers
    that no client should get."""

    def __init__(self, calls: Calls, journal: Journal, workflow: str) -> None:
        super().__init__(daemon=True)
        self.calls, self.journal, self.workflow = calls, journal, workflow
        self.runs, self.errors = set[str](), list[str]()
        self.is_wanted = True

    def run(self) -> None:
        while self.is_wanted:
            try:
                self.fail_one()
            except Unanswered as error:
                self.errors.append(str(error))
            time.sleep(EVERY)

    def fail_one(self) -> None:
        body = {"workflow": self.workflow, "trigger_type": "event", "metadata": {"allow_concurrent": True}}
        run = self.calls.act(RUNS, body | {"start": True})["id"]
        record = Record(run, {run: 2}, ahead=1)
        self.journal.add(record)
        self.calls.act(f"{RUNS}{run}/fail/", {"error_message": "on purpose"})
        record.versions[run], record.ahead = 3, 0
        self.runs.add(run)


def watch(calls: Calls, workflow: str, address: str) -> None:
    """Send an alert to the address for each failure of the workflow."""
    channel = calls.act(
        "alerts/channels/", {"name": "receiver", "kind": "webhook", "address": address, "secret": SECRET}
    )["id"]
    rule = {"name": "failures", "kinds": ["failure"], "workflow": workflow, "most": 1_000, "within_seconds": 1}
    calls.act("alerts/rules/", rule | {"channels": [channel]})
