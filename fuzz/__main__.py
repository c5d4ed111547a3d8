"""`python -m fuzz`: start a server with a small ledger, run schemathesis against it, remove both.

Options are passed to `schemathesis run`, but for `--phases`. It runs twice at once, for half of its phases each: one
uses one processor. A traceback in the server's log is a failure too, whatever the response was.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from executions.tests.api.recording import Recorder, play
from fuzz.hooks import SCRATCH
from fuzz.server import Server
from pastetrader.tests.live_server import ROOT

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
FIRST, LATER = "coverage", "examples,fuzzing,stateful"  # phases: each of the two takes about as long


def main(options: list[str]) -> int:
    home = Path(tempfile.mkdtemp(prefix="pastetrader-fuzz-")).resolve()
    ledger = Server(home)
    try:
        play(Recorder(ledger.call))
        ledger.call("POST", "workflows/", {"id": SCRATCH, "name": "Scratch"}, {})
        code = _run(ledger, options)
    finally:
        log = ledger.stop()
        shutil.rmtree(home)
    if "Traceback" in log:
        sys.stderr.write(log)
        return 1
    return code


def _run(ledger: Server, options: list[str]) -> int:
    """Run all phases, and print what is said of the later ones after what is said of the others."""
    later = ledger.local / "later_phases"
    with later.open("w") as said:
        running = [_start(ledger, *options, "--phases", FIRST), _start(ledger, *options, "--phases", LATER, said=said)]
        codes = [process.wait() for process in running]
    sys.stdout.write(later.read_text())
    return max(map(abs, codes))


def _start(ledger: Server, *options: str, said: IO[str] | None = None) -> subprocess.Popen[bytes]:
    command = [SCHEMATHESIS, "run", ROOT / "schema.yaml", "--url", ledger.address, *options]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"LEDGER_TOKEN": ledger.token}, stdout=said)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
