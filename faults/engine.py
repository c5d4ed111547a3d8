"""An engine: `python -m faults.engine NAME` reports runs to URL until it is killed. After each run it waits until all
is delivered, and then prints what was, as a line of JSON. Runs and nodes start under leases of LEASE seconds."""

import json
import os
import sys
import time

AHEAD = int(os.environ.get("CLOCK", "0"))  # seconds by which the clock of this process is wrong
if AHEAD:
    _seconds, _nanoseconds = time.time, time.time_ns
    time.time = lambda: _seconds() + AHEAD
    time.time_ns = lambda: _nanoseconds() + AHEAD * 10**9

from pastetrader_client import Client  # noqa: E402  # which reads the clock by these functions

NODES = ("one",)


def main(name: str) -> None:
    client = Client(
        os.environ["URL"],
        os.environ["TOKEN"],
        name=name,
        spool=os.environ["SPOOL"],
        lease_seconds=int(os.environ["LEASE"]),
    )
    number = 0
    while True:
        number += 1
        key = f"{name} {os.getpid()} {time.time_ns()}"
        lines = [f"{key} {each}" for each in range(5)]
        with client.run(workflow="reported", graph=NODES, context={"key": key}) as run:
            _print({"began": run.id})
            with run.node("one") as node:
                for line in lines:
                    node.info(line)
                    time.sleep(0.1)
        while not client.flush(60):
            pass
        _print({"run": run.id, "versions": {run.id: 3, node.id: 3}, "lines": lines})


def _print(report: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
