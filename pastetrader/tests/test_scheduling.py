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


def begun(tests: list[str]) -> tuple[Any, list[Any]]:
    """Return a scheduler that has begun, and its two workers."""
    config: Any = SimpleNamespace(getvalue=lambda _: ["popen", "popen"], option=SimpleNamespace(loadscopereorder=True))
    scheduler: Any = GroupScheduling(config)
    workers: list[Any] = [Worker(), Worker()]
    for worker in workers:
        scheduler.add_node(worker)
    for worker in workers:
        scheduler.add_node_collection(worker, tests)
    scheduler.schedule()
    return scheduler, workers


def test_what_shares_a_server_goes_to_one_process_and_first() -> None:
    _, workers = begun(["tokens/tests/test_use.py::test_4", *SHARED, "tokens/tests/test_use.py::test_5"])
    assert [worker.told for worker in workers] == [[1, 2, 3], [0, 4]]


def test_every_test_is_run_once_and_units_that_are_done_are_forgotten() -> None:
    alone = [f"tokens/tests/test_use.py::test_{number}" for number in range(20)]
    scheduler, workers = begun([*SHARED, *alone])
    done = 0
    while scheduler.has_pending:
        for worker in workers:
            for place in worker.told[done : done + 1]:
                scheduler.mark_test_complete(worker, place)
                assert len(scheduler.assigned_work[worker]) <= 3
        done += 1
    assert sorted(place for worker in workers for place in worker.told) == list(range(23))
    assert not any(scheduler.assigned_work.values())
    assert all(worker.shutting_down for worker in workers)


@pytest.mark.parametrize("start", [*UNITS, *SITE, *FIRST])
def test_a_unit_is_of_tests_that_are_there(start: str) -> None:
    assert (ROOT / start).exists()


def test_what_stands_in_for_a_process_has_what_the_scheduler_asks_of_one() -> None:
    assert all(hasattr(WorkerController, name) for name in ("send_runtest_some", "shutdown", "shutting_down"))
