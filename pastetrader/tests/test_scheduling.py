"""A parallel run: who shares a server is one unit, and the largest unit begins."""

from types import SimpleNamespace
from typing import Any

import pytest
from xdist.workermanage import WorkerController

from pastetrader.tests.live_server import ROOT
from pastetrader.tests.scheduling import FIRST, SITE, UNITS, GroupScheduling

SHARED = ["browser/test_a.py::test_1", "browser/test_b.py::test_2[x]", "browser/test_b.py::test_3[y@z]"]


class Worker:
    """A worker that keeps the tests that it has to run, by their indices in its collection."""

    def __init__(self) -> None:
        self.gateway, self.told, self.shutting_down = SimpleNamespace(id="gw"), list[int](), False

    def send_runtest_some(self, places: list[int]) -> None:
        self.told += places

    def shutdown(self) -> None:
        self.shutting_down = True


def test_what_shares_a_server_goes_to_one_process_and_first() -> None:
    config: Any = SimpleNamespace(getvalue=lambda _: ["popen", "popen"], option=SimpleNamespace(loadscopereorder=True))
    tests = ["tokens/tests/test_use.py::test_4", *SHARED, "tokens/tests/test_use.py::test_5"]
    scheduler: Any = GroupScheduling(config)
    workers: list[Any] = [Worker(), Worker()]
    for worker in workers:
        scheduler.add_node(worker)
    for worker in workers:
        scheduler.add_node_collection(worker, tests)
    scheduler.schedule()
    assert [worker.told for worker in workers] == [[1, 2, 3], [0, 4]]


@pytest.mark.parametrize("start", [*UNITS, *SITE, *FIRST])
def test_a_unit_is_of_tests_that_are_there(start: str) -> None:
    assert (ROOT / start).exists()


def test_what_stands_in_for_a_process_has_what_the_scheduler_asks_of_one() -> None:
    assert all(hasattr(WorkerController, name) for name in ("send_runtest_some", "shutdown", "shutting_down"))
