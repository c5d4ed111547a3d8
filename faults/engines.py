"""Engines as processes, each started again when it is killed: what it had not sent is in its spool, or was not
acknowledged."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from pastetrader.tests.live_server import ROOT

from .journal import Journal, Record


class Engine:
    """`clock` is for how many seconds its clock is ahead, `lease` the seconds of its leases. `began` is the id of the
    run that it has begun last."""

    def __init__(
        self, name: str, address: str, token: str, spool: Path, journal: Journal, *, lease: int, clock: int = 0
    ) -> None:
        self.name, self.journal, self.clock = name, journal, clock
        own = {"URL": address, "TOKEN": token, "SPOOL": str(spool), "CLOCK": str(clock), "LEASE": str(lease)}
        self.environment = os.environ | own
        self.log = spool.parent / f"{name}.log"
        self.is_wanted, self.delivered, self.began = True, 0, ""
        self.process: subprocess.Popen[str] | None = None
        self.keeper = threading.Thread(target=self._keep, daemon=True)
        self.keeper.start()

    def _keep(self) -> None:
        command = [sys.executable, "-m", "faults.engine", self.name]
        while self.is_wanted:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    command, cwd=ROOT, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=log
                )
            for line in self.process.stdout or ():
                self._note(line)
            self.process.wait()

    def _note(self, line: str) -> None:
        found = json.loads(line)
        if "began" in found:
            self.began = found["began"]
            return
        self.journal.add(Record(found["run"], found["versions"], set(found["lines"])))
        self.delivered += 1

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    def stop(self) -> None:
        self.is_wanted = False
        self.kill()
        self.keeper.join()
