"""The ledger beside bare HTTP with psycopg, bare Django views and Prefect: `make bench-peers HARNESS=... PEERS=...`.

The harness is not part of this repository: HARNESS is its folder (its README tells how it is set up), PEERS the folder
that it was set up in, with its PostgreSQL running. Each round runs every target once; a ratio compares two of a round.

Whole runs in one call: ARGS="--targets rest_api:BatchApi,events:Events,events:ManyRuns --workloads W". Lists: the
targets are filled once with `--load 20000`, then ARGS="--targets rest_api:DjangoApi,ledger:LedgerReads --workloads R".
A run, read by its id, from the same tables: ARGS="--targets one_run:BareRun,one_run:LedgerRun --workloads R".
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BARE = "rest_api:DjangoApi"  # what the others are compared with
BARE_BATCH = "rest_api:BatchApi"  # what whole runs in one call are compared with
BARE_RUN = "one_run:BareRun"  # what the run is compared with
TARGETS = ("rest_api:FloorApi", BARE, "ledger:Ledger", "prefect_rest")
WHOLE, MANY_RUNS, ONE_RUN = {"W": "whole"}, {"W": "many"}, {"list_nodes": "run"}
# What a target does instead of a workload of the harness.
UNITS = {
    BARE_BATCH: WHOLE,
    "events:Events": WHOLE,
    "events:ManyRuns": MANY_RUNS,
    BARE_RUN: ONE_RUN,
    "one_run:LedgerRun": ONE_RUN,
}
REFERENCES = {"whole": BARE_BATCH, "run": BARE_RUN}
MANY = 50  # runs in a call of the last one
NAMES = {
    "rest_api:FloorApi": "bare HTTP and psycopg",
    BARE: "bare Django views, WSGI",
    "ledger:Ledger": "this ledger, `manage.py serve`",
    "ledger:LedgerReads": "this ledger, `manage.py serve`",
    "prefect_rest": "Prefect",
    BARE_BATCH: "bare HTTP and psycopg, one call",
    "events:Events": "this ledger, `POST events/`",
    "events:ManyRuns": "this ledger, `POST events/`",
    BARE_RUN: "bare Django views, WSGI",
    "one_run:LedgerRun": "this ledger, `manage.py serve`",
}
READS = {
    "list_runs_failed": "newest 50 failed runs",
    "list_runs_completed": "newest 50 completed runs",
    "list_nodes": "ten nodes of a run",
    "list_logs": "1,000 lines of a run",
}
CLIENTS = (1, 8)
type Row = dict[str, Any]
type Cells = dict[tuple[str, str, int], list[Row]]

# Runs run.py of the harness, which finds the targets of benches/harness_targets beside its own.
RUN = """
import runpy, sys, targets
targets.__path__.append(sys.argv.pop(1))
runpy.run_path("run.py", run_name="__main__")
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=6, help="of each cell")
    options.add_argument("--targets", default=",".join(TARGETS[:3]), help=f"of {', '.join(TARGETS)}")
    options.add_argument("--workloads", default="W,L", help="W, L and R of the harness")
    options.add_argument("--load", type=int, metavar="RUNS", help="fill the targets for R, and measure nothing")
    chosen = options.parse_args()
    harness, peers = (os.environ.get(name, "") for name in ("HARNESS", "PEERS"))
    if not (Path(harness, "run.py").is_file() and Path(peers, "venvs").is_dir()):
        raise SystemExit("Name the folders: make bench-peers HARNESS=<of the harness> PEERS=<that it was set up in>")
    targets = chosen.targets.split(",")
    if chosen.load:
        for target in targets:
            _run(Path(harness), Path(peers), target, ["--load", str(chosen.load)])
        return
    what = ["--workloads", chosen.workloads, "--seconds", str(chosen.seconds)]
    with tempfile.NamedTemporaryFile() as found:
        for _ in range(chosen.rounds):
            for target in targets:
                with Path(found.name).open("a") as file:
                    file.writelines(f"{json.dumps(row)}\n" for row in _run(Path(harness), Path(peers), target, what))
        rows = [json.loads(line) for line in Path(found.name).read_text().splitlines()]
    sys.stdout.write(report(targets, rows))


def _run(harness: Path, peers: Path, target: str, what: list[str]) -> list[Row]:
    """Return the rows of one target, with its key."""
    own_targets = str(ROOT / "benches" / "harness_targets")
    command = [str(peers / "venvs/bench/bin/python"), "-c", RUN, own_targets, target, *what]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(  # noqa: S603  # the harness that the caller names
        command,
        cwd=harness,
        env=environment | {"PEERS": str(peers), "LEDGER_CHECKOUT": str(ROOT), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{target}: {done.stderr}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if bad := [row["check"] for row in rows if str(row.get("check", "ok")).startswith("MISMATCH")]:
        raise SystemExit(f"{target}: {bad[0]}")
    return [row | {"key": target} for row in rows]


def report(targets: list[str], rows: list[Row]) -> str:
    """Return a table of medians, each with the median of its ratios to the bare target of the same round."""
    cells: Cells = defaultdict(list)
    for row in rows:
        workload = UNITS.get(row["key"], {}).get(row["workload"], row["workload"])
        cells[row["key"], workload, row["clients"]].append(row)
    columns = [column for column in COLUMNS if column[0] in {workload for _key, workload, _clients in cells}]
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    load = f"load {os.getloadavg()[0]:.1f}"
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {machine}, {load}; 1 / 8 clients, in brackets the ratio to the bare target\n",
        f"| target | {' | '.join(title for _workload, title, _value in columns)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for target in targets:
        texts = [_cell(cells, target, workload, value) for workload, _title, value in columns]
        lines.append(f"| {NAMES.get(target, target)} | {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def _cell(cells: Cells, target: str, workload: str, value: Callable[[Row], float]) -> str:
    texts = []
    for clients in CLIENTS:
        found = [value(row) for row in cells[target, workload, clients]]
        bare = [value(row) for row in cells.get((REFERENCES.get(workload, BARE), workload, clients), ())]
        ratios = [ours / theirs for ours, theirs in zip(found, bare, strict=False)]
        ratio = f" ({statistics.median(ratios):.2f})" if ratios else ""
        texts.append(f"{_short(statistics.median(found))}{ratio}" if found else "–")
    return " / ".join(texts)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _rate(row: Row) -> float:
    return float(row["rate"])


def _p50(kind: str) -> Callable[[Row], float]:
    return lambda row: float(row["ms"][kind]["p50"])


# Workload, heading, value.
COLUMNS: list[tuple[str, str, Callable[[Row], float]]] = [
    ("W", "runs/s, call by call", _rate),
    ("W", "p50 of a transition, ms", _p50("transition")),
    ("L", "log lines/s, 500 a call", _rate),
    ("whole", "runs/s, each in one call", _rate),
    ("many", f"runs/s, {MANY} in a call", lambda row: MANY * _rate(row)),
    *((kind, f"{title}, p50 in ms", _p50(kind)) for kind, title in READS.items()),
    ("run", "a run, p50 in ms", _p50("list_nodes")),
]


if __name__ == "__main__":
    main()
