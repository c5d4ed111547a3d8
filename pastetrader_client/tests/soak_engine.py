"""An engine of the soak: `python -m pastetrader_client.tests.soak_engine NAME SECONDS` reports runs to URL for so long,
and prints what it has reported, by id, and how long its calls took, in seconds. An engine whose name begins with
`control` makes the same calls at the same time, and reports nothing: it has no second thread, queue and network. How
long its calls take is the machine's doing. Where the system lets it, an engine runs before all other processes."""

import json
import os
import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pastetrader_client import Answer, Client
from pastetrader_client.http_transport import HttpTransport

WORTH_A_LOOK = 0.005
NODES = ("extract", "transform", "load")
ID = re.compile(rb'"id":"([0-9a-f-]{36})"')


class NotingTransport(HttpTransport):
    """Notes the ids of the lines that are sent: they are made by the sending thread."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, token)
        self.lines: set[str] = set()

    def send(self, bodies: Sequence[bytes]) -> Answer:
        for body in bodies:
            if body.startswith(b'{"kind":"log"') and (found := ID.search(body)):
                self.lines.add(found[1].decode())
        return super().send(bodies)


class Engine:
    def __init__(self, name: str) -> None:
        self.name, self.is_control = name, name.startswith("control")
        self.transport = NotingTransport(os.environ["URL"], os.environ["TOKEN"])
        self.client = Client(transport=self.transport, name=name, spool=os.environ["SPOOL"])
        if self.is_control:
            self.client.add = lambda _draft: False
        self.runs: list[str] = []
        self.nodes: list[str] = []
        self.times: list[float] = []
        self.own_times: list[float] = []  # without the time for which the system did not let the calling thread run
        self.longest = 0.0  # without the time for which it did not let some thread of the process run
        self.lines = 0

    def call_and_time(self, call: Callable[..., Any], *args: object) -> Any:
        before, began = stopped_seconds(), time.perf_counter()
        result = call(*args)
        own = taken = time.perf_counter() - began
        if taken > WORTH_A_LOOK:
            of_this, of_all = (now - then for now, then in zip(stopped_seconds(), before, strict=True))
            own = taken - of_this
            self.longest = max(self.longest, taken - of_all)
        self.times.append(taken)
        self.own_times.append(own)
        return result

    def run(self) -> None:
        run = self.call_and_time(lambda: self.client.run(workflow="soak", graph=NODES))
        self.call_and_time(run.__enter__)
        for name in NODES:
            node = self.call_and_time(run.node, name)
            self.call_and_time(node.__enter__)
            for _number in range(random.randint(1, 12)):
                self.call_and_time(node.info, "line %d of %s", self.lines, self.name)
                self.lines += 1
                time.sleep(0.005)
            node.output = {"node": name}
            self.call_and_time(node.__exit__, None, None, None)
            self.nodes.append(node.id)
        self.call_and_time(run.__exit__, None, None, None)
        self.runs.append(run.id)


def stopped_seconds() -> tuple[float, float]:
    """Return for how long this thread could have run, and the system let others run instead, and the same of all
    threads of the process. A thread that is stopped while it holds Python's lock stops the others."""
    total = sum(_nanoseconds(path) for path in Path("/proc/self/task").glob("*/schedstat"))
    return _nanoseconds(Path("/proc/thread-self/schedstat")) / 1e9, total / 1e9


def _nanoseconds(path: Path) -> int:
    with suppress(OSError):  # a thread that has ended
        return int(path.read_text().split()[1])
    return 0


def main() -> None:
    engine = Engine(sys.argv[1])
    until = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < until:
        engine.run()
    delivered = engine.is_control or engine.client.flush(120)
    ids = {"runs": engine.runs, "nodes": engine.nodes, "lines": sorted(engine.transport.lines)}
    found = {
        "name": engine.name, "ids": ids, "lines": engine.lines, "delivered": delivered, "times": engine.times,
        "own_times": engine.own_times, "longest": engine.longest,
    }  # fmt: skip
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
