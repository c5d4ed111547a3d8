"""An engine of the soak: `python -m pastetrader_client.tests.soak_engine NAME SECONDS` reports runs to URL for so long,
and prints what it has reported, by id, and how long its calls took. The engine `control` makes the same calls and
reports nothing, without a second thread: how long they take is the machine's doing."""

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
        self.ids: dict[str, list[str]] = {"execution.create": [], "node.create": [], "log": []}
        self.longest: list[float] = []
        self.add = self.client.add
        self.client.add = self._add  # type: ignore[method-assign]  # to note what is reported

        self.is_control = name == "control"

    def _add(self, fact: Fact | Draft, *, urgent: bool = False) -> None:
        if self.is_control:
            return
        if fact.kind in self.ids:
            self.ids[fact.kind].append(json.loads(fact.encoded().body)["id"])
        self.add(fact, urgent=urgent)

    def call_and_time(self, call: Callable[..., Any], *args: object) -> Any:
        began = time.perf_counter()
        result = call(*args)
        self.longest.append(time.perf_counter() - began)
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
    delivered = engine.client.flush(120)
    times = sorted(engine.longest)
    found = {
        "ids": engine.ids, "delivered": delivered, "calls": len(times), "max": times[-1],
        "median": times[len(times) // 2], "p999": times[int(len(times) * 0.999)],
    }  # fmt: skip
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
