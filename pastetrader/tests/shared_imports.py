"""Import the test modules of a parallel run in another order in each process.

pytest rewrites the assertions of a module that it imports, and stores the result, which the other processes read.
Processes that begin with the same module rewrite all of them at the same time, each for itself."""

import importlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest


def import_in_turn(config: pytest.Config) -> None:
    """Import what a process of a parallel run will collect, and begin where no other one does."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not worker:
        return
    modules = sorted(module_names(config.rootpath, config.args))
    start = len(modules) * int(worker.removeprefix("gw")) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    for name in (*modules[start:], *modules[:start]):
        with suppress(Exception, pytest.skip.Exception):  # the collection imports it again, and tells
            importlib.import_module(name)


def module_names(root: Path, arguments: Iterable[str]) -> Iterable[str]:
    """Return the names of the test modules in the folders of the command line. A module that it names is not here: a
    run of few modules has nothing to share."""
    for folder in map(root.joinpath, arguments):
        for path in folder.rglob("test_*.py"):
            yield ".".join(path.relative_to(root).with_suffix("").parts)
