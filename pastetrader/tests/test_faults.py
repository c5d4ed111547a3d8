"""The short form of `make faults`: real processes are broken, and nothing is lost, doubled or impossible."""

import subprocess
import sys

from pastetrader.tests.live_server import ROOT

SEEDS = """
import sys
from types import SimpleNamespace
from django.db import connection
from faults.__main__ import checks_of
for sockets in sys.argv[1:]:
    database = SimpleNamespace(sockets=sockets, address=f"postgresql://postgres@/postgres?host={sockets}")
    with checks_of(SimpleNamespace(database=database)):
        print(connection.pool.kwargs["host"])
"""
FEW = (
    "worker process", "(immediate)", "one connection", "request or answer", "deadlock", "lease paused", "the webhook receiver",
)  # fmt: skip


def test_nothing_is_lost_doubled_or_impossible_whatever_breaks() -> None:
    kinds = [option for kind in FEW for option in ("--only", kind)]
    command = [sys.executable, "-m", "faults", "--seed", "1", "--rounds", "1", "--stories", "2", "--back-in", "100"]
    done = subprocess.run([*command, *kinds], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_seed_is_compared_with_its_own_database() -> None:
    command = [sys.executable, "-c", SEEDS, "/first", "/second"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["/first", "/second"], done.stderr
