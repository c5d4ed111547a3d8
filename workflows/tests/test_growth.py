"""Large graphs: the work grows with their size, not with its square, and there is an end to it."""

import gc
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.db.models import F, Func, UUIDField

from workflows import drawing, graph_algorithms, layout
from workflows.exceptions import CyclicGraph
from workflows.models import Edge, Graph, Node, Workflow
from workflows.submitted_graph import SubmittedGraph
from workflows.tests.factories import WorkflowFactory

type Pairs = list[tuple[int, int]]

MOST_TIMES = 8  # longer may it take for four times as much


def chain(size: int) -> Pairs:
    return [(place, place + 1) for place in range(size - 1)]


def to_the_end(size: int) -> Pairs:
    return [*chain(size), *((place, size - 1) for place in range(size - 2))]


def far(size: int) -> Pairs:
    return [*chain(size), *((place, min(size - 1, place + size // 2)) for place in range(size - 2))]


def two_columns(size: int) -> Pairs:
    half = size // 2
    return [(place, half + (place * 7 + step * 13) % half) for place in range(half) for step in range(8)]


def circles(size: int) -> Pairs:
    back = [(place + 1, place) for place in range(size - 1)]
    return [*chain(size), *back]


SHAPES = (chain, to_the_end, far, two_columns, circles)


TRIES = 4  # other processes use the caches of the CPU too: the least of some times counts


def seconds(work: Callable[[], Any]) -> float:
    gc.disable()  # it looks through all that there is, now and then
    try:
        before = time.process_time()
        work()
        return time.process_time() - before
    finally:
        gc.enable()


def _taken(work: Callable[[], Any]) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def growth_of(work: Callable[[int], Any], size: int) -> float:
    """Return how many times as long four times as much takes: measured again only where it seems to be too long."""
    least = max(min(seconds(lambda: work(size)) for _ in range(TRIES)), 1e-6)
    growths = (seconds(lambda: work(4 * size)) / least for _ in range(4 * TRIES))  # other work takes the caches, too
    return next((growth for growth in growths if growth < MOST_TIMES), MOST_TIMES)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_layout_of_four_times_as_much_takes_less_than_eight_times_as_long(shape: Callable[[int], Pairs]) -> None:
    assert growth_of(lambda size: layout.layered_layout(range(size), shape(size)), 250) < MOST_TIMES


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES[:-1], ids=lambda shape: shape.__name__)
def test_levels_too(shape: Callable[[int], Pairs]) -> None:
    assert growth_of(lambda size: graph_algorithms.levels(range(size), shape(size)), 1_000) < MOST_TIMES


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_the_spots_of_a_drawing_are_bounded(shape: Callable[[int], Pairs]) -> None:
    drawn = layout.layered_layout(range(1_000), shape(1_000))
    assert len(drawn.spots) <= 1_000 * (1 + layout.BENDS)
    drawn_edges = sum(
        len(drawn.spots[b].after) >= 0 and not drawn.spots[b].is_bend for s in drawn.spots for b in s.after
    )
    assert drawn_edges + len(drawn.direct) == len({tuple(sorted(pair)) for pair in shape(1_000)})


def graph_of(size: int, pairs: Pairs) -> Graph:
    ids = [f"0190f5e5-0000-7000-8000-{place:012}" for place in range(size)]
    edges = [{"source_node": ids[a], "target_node": ids[b]} for a, b in pairs]
    return Graph(nodes=[{"id": each, "name": f"node {each}"} for each in ids], edges=edges)


@pytest.mark.parametrize("shape", [to_the_end, far, two_columns], ids=lambda shape: shape.__name__)
def test_a_drawing_is_of_a_size_that_a_page_can_carry(shape: Callable[[int], Pairs]) -> None:
    drawn = drawing.draw_graph(graph_of(1_000, shape(1_000)))
    assert drawn is not None
    assert sum(map(len, drawn.lines)) + len(drawn.heads) < 500_000
    assert len(drawn.boxes) == 1_000


def test_what_is_larger_is_not_drawn() -> None:
    assert drawing.draw_graph(graph_of(drawing.MOST_NODES + 1, [])) is None
    assert drawing.draw_graph(graph_of(200, [(a, b) for a in range(100) for b in range(100, 151)])) is None


def test_the_connection_is_not_held_while_a_graph_is_drawn(monkeypatch: Any) -> None:
    done: list[str] = []
    monkeypatch.setattr(drawing, "release_connection", lambda _using: done.append("released"))
    monkeypatch.setattr(drawing, "layered_layout", lambda *graph: done.append("drawn") or layout.layered_layout(*graph))
    drawing._plan.cache_clear()
    drawing.draw_graph(graph_of(150, to_the_end(150)))
    assert done == ["released", "drawn"]


def test_a_long_circle_is_named_by_its_two_ends() -> None:
    sentence = str(CyclicGraph([*range(5_000), 0]))
    assert "0 → 1 → 2" in sentence
    assert "→ … →" in sentence
    assert len(sentence) < 300


class TestTheDatabase:
    @staticmethod
    def made(size: int, pairs: Pairs) -> tuple[Workflow, list[Edge]]:
        workflow = WorkflowFactory()
        nodes = Node.objects.bulk_create(
            Node(workflow=workflow, name=f"node {place}", node_type="tool") for place in range(size)
        )
        return workflow, [Edge(workflow=workflow, source_node=nodes[a], target_node=nodes[b]) for a, b in pairs]

    @pytest.mark.slow
    def test_its_check_for_circles_is_linear_too(self, db: None) -> None:
        def time_check(size: int) -> float:
            workflow, edges = self.made(size, to_the_end(size))
            Edge.objects.bulk_create(edges)
            check = Func(F("pk"), function="node_on_circle", output_field=UUIDField())
            question = Workflow.objects.filter(pk=workflow.pk).values_list(check, flat=True)
            return min(_taken(lambda: list(question.all())) for _ in range(5))

        assert time_check(1_000) / time_check(250) < MOST_TIMES

    def test_a_circle_at_the_end_of_a_long_chain_is_refused_by_the_database(self, db: None) -> None:
        _workflow, edges = self.made(500, [*chain(500), (499, 497)])
        with pytest.raises(IntegrityError, match=r"form a cycle through node") as refused:
            Edge.objects.bulk_create(edges)
        on_it = {str(edge.source_node_id) for edge in edges[-3:]}
        assert any(node in str(refused.value) for node in on_it)


class TestTheLimits:
    @pytest.mark.parametrize("kind", ["nodes", "edges"])
    def test_more_than_a_workflow_may_have_is_refused_by_its_place(
        self, kind: str, api: Any, owner: Any, settings: Any
    ) -> None:
        settings.WORKFLOWS = settings.WORKFLOWS | {"MAX_NODES": 2, "MAX_EDGES": 2}
        rows = {
            "nodes": [{"name": name, "node_type": "tool"} for name in "abc"],
            "edges": [{"source_node": "a", "target_node": "b"}] * 3,
        }
        answer = api(owner).post("/api/v1/workflows/", {"name": "large", kind: rows[kind]}, format="json")
        assert answer.status_code == 400
        (error,) = answer.json()["errors"]
        assert (error["pointer"], error["code"]) == (f"/{kind}", "too_many")
        assert f"at most 2 {kind}, and these are 3" in error["detail"]

    def test_a_graph_does_not_grow_by_one_body_after_the_other(self, api: Any, owner: Any, settings: Any) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000
        client, names = api(owner), "abc"
        new = {"name": "w", "nodes": [{"name": name, "node_type": "tool"} for name in names]}
        made = client.post("/api/v1/workflows/", new, format="json").json()

        def patch_node(name: str, size: int) -> Any:
            nodes = [{"name": each, "node_type": "tool"} for each in names]
            nodes[names.index(name)]["config"] = {"x": "é" * (size // 2)}
            return client.patch(f"/api/v1/workflows/{made['id']}/", {"nodes": nodes}, format="json")

        assert [patch_node(name, 4_000).status_code for name in "ab"] == [200, 200]
        answer = patch_node("c", 4_000)
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["pointer"]) == (400, "/nodes/2/config")
        assert "at most 10,000 bytes of JSON together (DATA_UPLOAD_MAX_MEMORY_SIZE)" in error["detail"]
        assert patch_node("b", 100).status_code == patch_node("c", 4_000).status_code == 200

    def test_as_many_as_a_workflow_may_have_are_taken(self, api: Any, owner: Any, settings: Any) -> None:
        settings.WORKFLOWS = settings.WORKFLOWS | {"MAX_NODES": 2}
        nodes = [{"name": name, "node_type": "tool"} for name in "ab"]
        assert api(owner).post("/api/v1/workflows/", {"name": "ok", "nodes": nodes}, format="json").status_code == 201


@pytest.mark.django_db
def test_edges_of_a_large_graph_are_checked_by_index_though_the_tables_were_small(owner: Any) -> None:
    """Counted are the rows of `nodes` that whole reads of the table have met, not the time."""
    with connection.cursor() as cursor:  # plans that a connection makes and keeps where the tables are small
        cursor.execute("DISCARD PLANS; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    _save_chain(owner, "small", 5)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_indexscan = on; SET LOCAL enable_bitmapscan = on")
    before = _rows_read()
    _save_chain(owner, "large", 1_000)
    assert _rows_read() - before < 20 * 1_000


def _save_chain(owner: Any, name: str, size: int) -> None:
    nodes = [{"name": f"n{number}", "node_type": "tool"} for number in range(size)]
    edges = [{"source_node_id": f"n{number}", "target_node_id": f"n{number + 1}"} for number in range(size - 1)]
    SubmittedGraph(None, nodes, edges).save(Workflow.objects.create(owner=owner, name=name))


def _rows_read() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'nodes'")
        return int(cursor.fetchone()[0])
