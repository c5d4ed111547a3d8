"""Timeline and graph as places on a page, whatever comes."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executions.admin.charts import timeline
from workflows import drawing
from workflows.models import Graph

NO_TRIES = defaultdict[object, list[Any]](list)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
moments = st.integers(0, 100_000).map(lambda seconds: START + timedelta(seconds=seconds))


def row(status: str, created: Any, started: Any = None, ended: Any = None, **more: Any) -> Any:
    return SimpleNamespace(
        status=status, created_at=created, started_at=started, ended_at=ended, **{"attempt": 1, "pk": object(), **more}
    )


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class TestTicks:
    @given(st.floats(0.001, 4e8))
    def test_they_begin_at_0_are_even_and_cover_the_span(self, seconds: float) -> None:
        found = timeline.build_ticks(seconds)
        steps = {round(b - a, 6) for a, b in pairwise(found)}
        assert found[0] == 0
        assert len(steps) <= 1
        assert len(found) <= timeline.TICKS + 1
        assert found[-1] <= seconds * (1 + 1e-6)
        assert len(found) == 1 or found[-1] + found[1] > seconds

    @given(st.floats(0.001, 4e8))
    def test_each_says_something_else(self, seconds: float) -> None:
        found = [timeline.label_of(tick) for tick in timeline.build_ticks(seconds)]
        assert len(set(found)) == len(found)

    @pytest.mark.parametrize(
        ("seconds", "said"),
        [
            (0, "0"), (0.02, "20 ms"), (1.5, "1.5 s"), (30, "30 s"), (60, "1 min"), (90, "1 min 30 s"), (3600, "1 h"),
            (5400, "1 h 30 min"), (86_400, "1 d"), (129_600, "1 d 12 h"),
        ],
    )  # fmt: skip
    def test_durations_are_shown_without_units_that_are_zero(self, seconds: float, said: str) -> None:
        assert timeline.label_of(seconds) == said


class TestSpans:
    def test_a_row_waits_from_its_creation_to_its_start(self) -> None:
        found = list(timeline.spans_of(row("completed", at(0), at(2), at(5)), [], at(9)))
        assert [(span.kind, span.start, span.end) for span in found] == [
            ("waiting", at(0), at(2)),
            ("completed", at(2), at(5)),
        ]

    def test_what_runs_and_what_waits_is_open_until_now(self) -> None:
        running = list(timeline.spans_of(row("running", at(0), at(2)), [], at(9)))
        waiting = list(timeline.spans_of(row("pending", at(0)), [], at(9)))
        assert running[-1].end == at(9)
        assert [(span.kind, span.end) for span in waiting] == [("waiting", at(9))]

    def test_what_is_skipped_waited_for_nothing(self) -> None:
        earlier = [row("failed", None, at(1), at(2))]
        skipped = list(timeline.spans_of(row("skipped", at(0), None, at(3)), [], at(9)))
        again = list(timeline.spans_of(row("skipped", at(0), None, at(6)), earlier, at(9)))
        assert skipped == []
        assert [span.kind for span in again] == ["waiting", "failed"]

    def test_tries_stand_one_behind_the_other_with_the_waits_between(self) -> None:
        earlier = [row("failed", None, at(1), at(2)), row("failed", None, at(4), at(5))]
        found = list(timeline.spans_of(row("completed", at(0), at(7), at(9)), earlier, at(20)))
        assert [span.kind for span in found] == ["waiting", "failed", "waiting", "failed", "waiting", "completed"]
        assert [span.number for span in found] == [1, 1, 2, 2, 3, 3]

    def test_a_row_that_was_reported_after_it_ran_waited_for_nothing(self) -> None:
        assert [span.kind for span in timeline.spans_of(row("completed", at(9), at(2), at(5)), [], at(9))] == [
            "completed"
        ]

    @given(st.lists(st.tuples(moments, moments, moments), min_size=1, max_size=8), moments)
    def test_every_bar_is_inside_of_the_drawing(self, times: Any, now: datetime) -> None:
        rows = [row("completed", *sorted(each)) for each in times]
        draw = timeline.build_timeline(row("running", START, START), [], rows, NO_TRIES, max(now, at(100_000)))
        assert draw is not None
        assert len(draw.lanes) == len(rows)
        for lane in [draw.run, *draw.lanes]:
            assert all(bar.left >= 0 and bar.left + bar.width <= 100.001 and bar.width > 0 for bar in lane.bars)

    @given(st.lists(st.tuples(moments, moments, moments), min_size=1, max_size=8))
    def test_lanes_stand_in_the_order_of_their_starts(self, times: Any) -> None:
        rows = [row("completed", *sorted(each)) for each in times]
        draw = timeline.build_timeline(row("running", START, START), [], rows, NO_TRIES, at(100_000))
        assert draw is not None
        starts = [lane.row.started_at for lane in draw.lanes]
        assert starts == sorted(starts)

    def test_nodes_that_never_started_stand_last(self) -> None:
        rows = [row("skipped", at(0), None, at(3)), row("completed", at(0), at(1), at(2))]
        draw = timeline.build_timeline(row("failed", at(0), at(1), at(3)), [], rows, NO_TRIES, at(3))
        assert draw is not None
        assert [lane.row.status for lane in draw.lanes] == ["completed", "skipped"]

    def test_a_wait_that_would_dwarf_the_run_is_left_out(self) -> None:
        draw = timeline.build_timeline(row("completed", at(0), at(3600), at(3610)), [], [], NO_TRIES, at(4000))
        assert draw is not None
        assert draw.scale == timeline.Scale(at(3600), at(3610))
        assert [bar.kind for bar in draw.run.bars] == ["completed"]

    def test_a_run_that_took_no_time_is_drawn(self) -> None:
        draw = timeline.build_timeline(row("completed", at(0), at(0), at(0)), [], [], NO_TRIES, at(0))
        assert draw is not None
        assert [(bar.left, bar.width) for bar in draw.run.bars] == [(0, timeline.THINNEST)]

    def test_earlier_tries_that_it_was_not_given_are_counted(self) -> None:
        tries = [row("failed", None, at(1), at(2))]
        nodes = [row("running", at(0), at(3), attempt=5), row("pending", at(0), attempt=2)]
        draw = timeline.build_timeline(
            row("running", at(0), at(0), attempt=3), tries, nodes, {nodes[0].pk: tries, nodes[1].pk: []}, at(9)
        )
        assert draw is not None
        assert draw.undrawn == 1 + 3 + 1


class TestShownLanes:
    def draw(self, statuses: list[str]) -> timeline.Timeline:
        rows = [row(status, at(place), at(place), at(place), pk=place) for place, status in enumerate(statuses)]
        draw = timeline.build_timeline(row("running", at(0), at(0)), [], rows, NO_TRIES, at(9))
        assert draw is not None
        return draw

    @given(st.lists(st.sampled_from(["completed", "failed", "running"]), max_size=12), st.integers(0, 11))
    def test_what_tells_most_comes_before_others_all_in_their_order(self, statuses: list[str], chosen: int) -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(timeline, "LANES", 4)
            shown = [lane.row for lane in self.draw(statuses).choose_lanes(chosen)]  # type: ignore[arg-type]  # keys of these rows are numbers
        assert len(shown) == min(4, len(statuses))
        assert [each.pk for each in shown] == sorted(each.pk for each in shown)
        tells = [place for place, status in enumerate(statuses) if status != "completed" or place == chosen]
        assert {each.pk for each in shown} >= set(tells) or all(each.pk in tells for each in shown)


class TestDrawing:
    def graph(self, edges: list[tuple[int, int]], size: int = 12) -> Graph:
        ids = [f"00000000-0000-7000-8000-{i:012}" for i in range(size)]
        return Graph(
            nodes=[{"id": id, "name": f"node {i}"} for i, id in enumerate(ids)],
            edges=[{"source_node": ids[a], "target_node": ids[b]} for a, b in edges],
        )

    @given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda e: e[0] < e[1]), max_size=30))
    def test_boxes_do_not_touch_and_are_inside(self, edges: Any) -> None:
        draw = drawing.draw_graph(self.graph(edges))
        assert draw is not None
        for box in draw.boxes:
            assert 0 <= box.x <= draw.width - drawing.WIDTH
            assert 0 <= box.y <= draw.height - drawing.HEIGHT
        places = sorted((box.x, box.y) for box in draw.boxes)
        assert all(a[0] != b[0] or b[1] - a[1] > drawing.HEIGHT for a, b in pairwise(places))

    def test_the_same_graph_is_laid_out_once(self) -> None:
        drawing._plan.cache_clear()
        for _ in range(3):
            drawing.draw_graph(self.graph([(0, 1), (1, 2)]))
        assert drawing._plan.cache_info().misses == 1

    def test_too_many_nodes_are_not_drawn(self) -> None:
        assert drawing.draw_graph(self.graph([], drawing.MOST_NODES + 1)) is None
        assert drawing.draw_graph(self.graph([], 0)) is None

    @given(st.text(), st.integers(4, 40))
    def test_a_name_is_cut_to_its_width(self, name: str, letters: int) -> None:
        shown = drawing.shorten(name, letters)
        assert shown == name or drawing._wide(shown) <= letters
        assert name.startswith(shown.partition("…")[0])
