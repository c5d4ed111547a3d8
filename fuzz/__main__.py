"""`python -m fuzz`: start a server with a small ledger, run schemathesis against it, remove both.

Options are passed to `schemathesis run`. A traceback in the server's log is a failure too, whatever the response was.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from executions.tests.api.recording import Recorder, play
from fuzz.hooks import SCRATCH
from fuzz.server import Server
from pastetrader.tests.live_server import ROOT

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


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
    command = [SCHEMATHESIS, "run", ROOT / "schema.yaml", "--url", ledger.address, *options]
    env = os.environ | {"LEDGER_TOKEN": ledger.token}
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
