"""`python -m faults --seed 1`: strike, compare, print the table. Ends with 1 if anything is lost, doubled, impossible,
slow to come back or without a line in the log."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import django
from django.db import connection, connections

from .environment import Environment
from .fault_run import BACK_IN, Kind, Outcome, compare_all, try_once
from .kinds import KINDS
from .report import print_table

SEEDS = [1, 2, 3]
AFTERWARDS = "afterwards, all that was acknowledged"


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(1))  # what was started is ended
    results = [_run(seed, options) for seed in options.seed or SEEDS]  # all of them, whatever the first one finds
    return 0 if all(results) else 1


def _run(seed: int, options: argparse.Namespace) -> bool:
    kinds = [kind for kind in KINDS if not options.only or any(word in kind.name for word in options.only)]
    outcomes = {kind.name: Outcome() for kind in kinds}
    began = time.monotonic()
    with Environment(seed, options.scenarios, options.back_in) as environment, checks_of(environment):
        for number in range(options.rounds):
            if number and options.minutes and time.monotonic() - began > options.minutes * 60:
                break
            for kind in environment.chance.sample(kinds, len(kinds)):
                _try(environment, kind, outcomes[kind.name])
        outcomes[AFTERWARDS] = compare_all(environment)
        facts = environment.journal.count_acknowledged()
    return print_table(outcomes, seed, time.monotonic() - began, facts, options.back_in)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m faults")
    parser.add_argument("--seed", type=int, action="append", help="several if repeated; 1, 2 and 3 by default")
    parser.add_argument("--rounds", type=int, default=3, help="each kind of fault is tried in each round (3)")
    parser.add_argument(
        "--scenarios", type=int, default=40, help="runs of each of four clients that are cut in a round (40)"
    )
    parser.add_argument("--minutes", type=float, default=0, help="begin no round after so many")
    parser.add_argument("--only", action="append", help="the kinds whose name contains this; several if repeated")
    parser.add_argument("--back-in", type=float, default=BACK_IN, help="seconds in which the service must be back (10)")
    return parser.parse_args()


@contextmanager
def checks_of(environment: Environment) -> Iterator[None]:
    """Let `check_ledger()` in this process read the database of one seed."""
    os.environ["DATABASE_URL"] = environment.database.address
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
    django.setup()
    connections.settings["default"] |= {"HOST": str(environment.database.sockets)}  # of a later seed too
    try:
        yield
    finally:
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]  # or the next seed would get connections of this one


def _try(environment: Environment, kind: Kind, outcome: Outcome) -> None:
    try_once(environment, kind, outcome)
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {kind.name}: {outcome}\n")
    for fault in (*outcome.wrong[-3:], *outcome.lost[-3:], *outcome.doubled[-3:], *outcome.impossible[-3:]):
        sys.stdout.write(f"    {fault[:300]}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
