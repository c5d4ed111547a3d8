"""Each address of the API with each kind of caller."""

from collections.abc import Iterator
from typing import Any

import pytest

from .fixtures import ENTITLED, World, digest
from .matrix import METHODS, REFUSES_IN_ITS_ANSWER, find_operations, table

pytestmark = pytest.mark.django_db

COLUMNS, CELLS = table()


def test_every_method_at_every_address_has_its_line_in_the_table() -> None:
    found = set(find_operations())
    assert sorted(found - set(CELLS)) == [], "The API offers these: add a line for each to TABLE in matrix.py."
    assert sorted(set(CELLS) - found) == [], "The API offers these no more: remove their lines from TABLE in matrix.py."


def test_every_column_has_its_callers(world: World) -> None:
    assert list(world.callers) == COLUMNS
    assert {len(cells) for cells in CELLS.values()} == {len(COLUMNS)}


@pytest.mark.slow
@pytest.mark.parametrize("row", CELLS)
def test_each_caller_gets_the_answer_of_the_table(world: World, row: str) -> None:
    wrong = []
    kept: dict[bool, list[Any]] = {False: [], True: []}
    for column, expected in zip(COLUMNS, CELLS[row], strict=True):
        for name, client in world.callers[column].items():
            cell = f"{column} ({name})", client, row, expected
            if expected < 300 and not row.startswith("GET") and row not in REFUSES_IN_ITS_ANSWER:
                with world.anew(column):
                    wrong += faults(world, *cell)
                    wrong += [f"{cell[0]}: the tables have not changed"] * (digest() == world.at_first)
            else:
                kept[column == ENTITLED].append(cell)
    for is_entitled, cells in kept.items():  # together: to read every table takes longer than to be refused
        with world.anew(ENTITLED if is_entitled else ""):
            wrong += [fault for cell in cells for fault in faults(world, *cell)]
            assert digest() == world.at_first, "Somebody who was refused, or only reads, has changed the tables."
    assert wrong == []


def test_a_405_names_the_methods_that_are_answered(world: World) -> None:
    methods: dict[str, set[str]] = {}
    for row in CELLS:
        method, address = row.split()
        methods.setdefault(address, set()).update({method} | ({"HEAD"} if method == "GET" else set()))
    methods.pop("{address}")
    for address, offers in methods.items():
        url = world.url(f"{min(offers)} {address}")
        for method in {*METHODS, "TRACE"} - offers:
            answer = world.callers["superuser"]["token"].generic(method, url)
            assert (answer.status_code, set(answer["Allow"].split(", "))) == (405, offers), (method, url)


def faults(world: World, who: str, client: Any, row: str, expected: int) -> Iterator[str]:
    answer = world.ask(client, row)
    if answer.status_code != expected:
        yield f"{who}: expected {expected}, found {answer.status_code} {answer.content[:300]!r}"
    elif expected >= 400 and (words := world.told(answer, world.url(row) + world.body(row))):
        yield f"{who}: {answer.status_code}, and yet it tells {words}"
