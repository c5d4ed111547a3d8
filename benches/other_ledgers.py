"""The ledger beside bare HTTP with psycopg, bare Django views and Prefect: `make bench-peers HARNESS=... PEERS=...`.

The harness is not part of this repository: HARNESS is its folder (its README tells how it is set up), PEERS the folder
that it was set up in, with its PostgreSQL running. Each round runs every target once; a ratio compares two of a round.
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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BARE = "rest_api:DjangoApi"  # what the others are compared with
TARGETS = ("rest_api:FloorApi", BARE, "ledger:Ledger", "prefect_rest")
NAMES = {
    "rest_api:FloorApi": "bare HTTP and psycopg",
    BARE: "bare Django views, WSGI",
    "ledger:Ledger": "this ledger, `manage.py serve`",
    "prefect_rest": "Prefect",
}
CLIENTS = (1, 8)
type Cells = dict[tuple[str, str, int], list[dict[str, Any]]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=6, help="of each cell")
    options.add_argument("--targets", default=",".join(TARGETS[:3]), help=f"of {', '.join(TARGETS)}")
    chosen = options.parse_args()
    harness, peers = (os.environ.get(name, "") for name in ("HARNESS", "PEERS"))
    if not (Path(harness, "run.py").is_file() and Path(peers, "venvs").is_dir()):
        raise SystemExit("Name the folders: make bench-peers HARNESS=<of the harness> PEERS=<that it was set up in>")
    targets = chosen.targets.split(",")
    with tempfile.NamedTemporaryFile() as found:
        for _ in range(chosen.rounds):
            for target in targets:
                _run(Path(harness), Path(peers), target, chosen.seconds, found.name)
        rows = [json.loads(line) for line in Path(found.name).read_text().splitlines()]
    sys.stdout.write(report(targets, rows))


def _run(harness: Path, peers: Path, target: str, seconds: float, out: str) -> None:
    """Append the rows of one target to `out`, with its key."""
    command = [str(peers / "venvs/bench/bin/python"), "run.py", target, "--workloads", "W,L", "--seconds", str(seconds)]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(  # noqa: S603  # the harness that the caller names
        command,
        cwd=harness,
        env=environment | {"PEERS": str(peers), "LEDGER_CHECKOUT": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{target}: {done.stderr}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if bad := [row["check"] for row in rows if str(row.get("check", "ok")).startswith("MISMATCH")]:
        raise SystemExit(f"{target}: {bad[0]}")
    with Path(out).open("a") as file:
        file.writelines(f"{json.dumps(row | {'key': target})}\n" for row in rows)


def report(targets: list[str], rows: list[dict[str, Any]]) -> str:
    """Return a table of medians, each with the median of its ratios to the bare views of the same round."""
    cells: Cells = defaultdict(list)
    for row in rows:
        cells[row["key"], row["workload"], row["clients"]].append(row)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    load = f"load {os.getloadavg()[0]:.1f}"
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {machine}, {load}; 1 / 8 clients, in brackets the ratio to the bare views\n",
        "| target | runs/s, call by call | p50 of a transition, ms | log lines/s, 500 a call |",
        "|---|---|---|---|",
    ]
    for target in targets:
        columns = (_cell(cells, target, "W", _rate), _cell(cells, target, "W", _p50), _cell(cells, target, "L", _rate))
        lines.append(f"| {NAMES.get(target, target)} | {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def _cell(cells: Cells, target: str, workload: str, value: Any) -> str:
    texts = []
    for clients in CLIENTS:
        found = [value(row) for row in cells[target, workload, clients]]
        bare = [value(row) for row in cells.get((BARE, workload, clients), ())]
        ratios = [ours / theirs for ours, theirs in zip(found, bare, strict=False)]
        ratio = f" ({statistics.median(ratios):.2f})" if ratios else ""
        texts.append(f"{_short(statistics.median(found))}{ratio}" if found else "–")
    return " / ".join(texts)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _rate(row: dict[str, Any]) -> float:
    return float(row["rate"])


def _p50(row: dict[str, Any]) -> float:
    return float(row["ms"]["transition"]["p50"])


if __name__ == "__main__":
    main()
