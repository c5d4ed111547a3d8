"""The short form of `make faults`: real processes are broken, and nothing is lost, doubled or impossible."""

import subprocess
import sys

from pastetrader.tests.live_server import ROOT

FEW = ("worker process", "(immediate)", "one connection", "request or answer", "deadlock")


def test_nothing_is_lost_doubled_or_impossible_whatever_breaks() -> None:
    kinds = [option for kind in FEW for option in ("--only", kind)]
    command = [sys.executable, "-m", "faults", "--seed", "1", "--rounds", "1", "--stories", "2", "--back-in", "100"]
    done = subprocess.run([*command, *kinds], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
