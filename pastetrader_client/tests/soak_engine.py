"""An engine of the soak: `python -m pastetrader_client.tests.soak_engine NAME SECONDS` reports runs to URL for so long,
and prints what it has reported, by id, and how long its calls took, in seconds. An engine whose name begins with
`control` makes the same calls at the same time, and reports nothing: it has no second thread, queue and network. How
long its calls take is the machine's doing."""

import json
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from pastetrader_client import Client
from pastetrader_client.encoding import Draft, Fact

NODES = ("extract", "transform", "load")


class Engine:
    def __init__(self, name: str) -> None:
        self.client = Client(os.environ["URL"], os.environ["TOKEN"], name=name, spool=os.environ["SPOOL"])
        self.facts: list[Fact | Draft] = []
        self.times: list[float] = []
        self.add = self.client.add
        self.client.add = self._add  # type: ignore[method-assign]  # to note what is reported
        self.is_control = name.startswith("control")

    def _add(self, fact: Fact | Draft, *, urgent: bool = False) -> None:
        self.facts.append(fact)
        if not self.is_control:
            self.add(fact, urgent=urgent)

    def ids(self) -> dict[str, list[str]]:
        """Return the ids of what was reported, by kind."""
        found: dict[str, list[str]] = {"execution.create": [], "node.create": [], "log": []}
        for fact in self.facts:
            if fact.kind in found:
                found[fact.kind].append(json.loads(fact.encoded().body)["id"])
        return found

    def call_and_time(self, call: Callable[..., Any], *args: object) -> Any:
        began = time.perf_counter()
        result = call(*args)
        self.times.append(time.perf_counter() - began)
        return result

    def run(self) -> None:
        run = self.client.run(workflow="soak", graph=NODES)
        self.call_and_time(run.__enter__)
        for name in NODES:
            node = run.node(name)
            self.call_and_time(node.__enter__)
            for number in range(random.randint(1, 12)):
                self.call_and_time(node.info, "line %d of %s", number, name)
                time.sleep(0.005)
            node.output = {"node": name}
            self.call_and_time(node.__exit__, None, None, None)
        self.call_and_time(run.__exit__, None, None, None)


def main() -> None:
    engine = Engine(sys.argv[1])
    until = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < until:
        engine.run()
    delivered = engine.is_control or engine.client.flush(120)
    ids = {} if engine.is_control else engine.ids()
    sys.stdout.write(json.dumps({"ids": ids, "delivered": delivered, "times": engine.times}))


if __name__ == "__main__":
    main()
