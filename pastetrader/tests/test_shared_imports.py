"""The processes of a parallel run import the same modules, each in another order."""

import importlib
from types import SimpleNamespace
from typing import Any

import pytest

from pastetrader.tests.live_server import ROOT
from pastetrader.tests.shared_imports import import_in_turn, module_names


def imported_by(worker: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what a process imports, of which one module cannot be imported."""
    names: list[str] = []

    def note(name: str) -> None:
        names.append(name)
        if len(names) == 2:
            raise ImportError(name)

    monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    monkeypatch.setattr(importlib, "import_module", note)
    config: Any = SimpleNamespace(rootpath=ROOT, args=["tokens", "workflows/tests", "alerts/tests/test_rules.py::test"])
    import_in_turn(config)
    return names


def test_each_process_begins_with_another_third(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = (imported_by(worker, monkeypatch) for worker in ("gw0", "gw1", "gw2"))
    assert sorted(first) == sorted(second) == sorted(third) == sorted(module_names(ROOT, ["tokens", "workflows/tests"]))
    assert first == [*second[-(len(first) // 3) :], *second[: -(len(first) // 3)]]
    assert len({first[0], second[0], third[0]}) == 3


def test_names_are_those_of_packages() -> None:
    assert "pastetrader.tests.test_shared_imports" in module_names(ROOT, ["pastetrader"])
