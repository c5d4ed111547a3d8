"""The log of a run as a page: windows that meet, filters, searches, permalinks, downloads; and who may read it."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions import limits
from executions.models import ExecutionLog, LogLevel, WorkflowExecution
from executions.tests.cast import permissions
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.db.models import uuid7
from ledgerkit.tests.clients import client_of

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MARKUP = "<script>alert(1)</script>"
ROW = re.compile(r'<li id="line-([0-9a-f-]{36})"')


@pytest.fixture
def run(workflow: Any) -> WorkflowExecution:
    return in_state(WorkflowExecutionFactory(workflow=workflow), "running")


def fill(run: Any, count: int, **fields: Any) -> list[Any]:
    """Add one line a second: every tenth an error, every fifth a warning. The ids are not in the order of the times."""
    levels = {0: LogLevel.ERROR, 5: LogLevel.WARNING}
    lines = [
        ExecutionLog(
            workflow_execution=run,
            level=levels.get(i % 10, LogLevel.INFO if i % 2 else LogLevel.DEBUG),
            message=f"message {i}",
            timestamp=START + timedelta(seconds=i // 3),  # three at the same time
            **fields,
        )
        for i in reversed(range(count))
    ]
    ExecutionLog.objects.bulk_create(lines)
    return ordered_lines(run)


def ordered_lines(run: Any) -> list[Any]:
    return list(run.logs.order_by("timestamp", "id"))


def address(run: Any, query: str = "", part: str = "") -> str:
    return f"/admin/executions/workflowexecution/{run.pk}/logs/{part}{query}"


def get(user: Any, run: Any, query: str = "", part: str = "", status: int = 200) -> str:
    response = client_of(user).get(address(run, query, part))
    assert response.status_code == status, response.content
    return response.content.decode()


def rows(html: str) -> list[str]:
    return ROW.findall(html)


def ids(lines: Any) -> list[str]:
    return [str(line.pk) for line in lines]


def link(html: str, rel: str) -> str | None:
    found = re.search(rf'<a href="([^"]*)" rel="{rel}"', html)
    return found[1].replace("&amp;", "&") if found else None


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


class TestWhoReadsIt:
    def test_a_stranger_is_sent_to_the_login(self, run: Any, stranger: Any) -> None:
        assert client_of(stranger).get(address(run)).status_code == 302

    @pytest.mark.parametrize("part", ["", "lines/", "index/", "download/"])
    def test_a_newcomer_without_permissions_is_refused(self, part: str, run: Any, newcomer: Any) -> None:
        get(newcomer, run, part=part, status=403)

    @pytest.mark.parametrize("part", ["", "lines/", "index/", "download/"])
    def test_whoever_may_see_runs_but_no_lines_is_told_so(self, part: str, run: Any, newcomer: Any) -> None:
        line = fill(run, 1)[0]
        newcomer.user_permissions.set(permissions("view_workflowexecution"))
        html = get(newcomer, run, part=part, status=403)
        assert "but not its lines" in html
        assert line.message not in html

    def test_staff_read_the_lines_of_their_own_runs(self, run: Any, workflow: Any, newcomer: Any) -> None:
        fill(run, 1)
        newcomer.user_permissions.set(permissions("view_workflowexecution"))
        workflow.owner = newcomer
        workflow.save()
        assert "message 0" in get(newcomer, run)

    def test_a_teammate_reads_every_run(self, run: Any, teammate: Any) -> None:
        fill(run, 1)
        assert "message 0" in get(teammate, run)

    def test_a_run_that_is_not_there_is_not_found(self, staff: Any) -> None:
        get(staff, WorkflowExecutionFactory.build(id=uuid7()), status=404)

    def test_a_post_to_the_log_page_is_refused(self, run: Any, staff: Any) -> None:
        assert client_of(staff).post(address(run)).status_code == 405

    def test_the_page_of_the_run_leads_to_it(self, run: Any, staff: Any) -> None:
        fill(run, 1)
        html = client_of(staff).get(f"/admin/executions/workflowexecution/{run.pk}/change/").content.decode()
        assert f'href="{address(run)}"' in html


class TestPagesWithoutScript:
    @pytest.mark.slow
    @pytest.mark.parametrize("query", ["", "?level=warning", "?q=message&context=all"])
    def test_forward_shows_every_line_once_and_back_shows_the_same_again(
        self, query: str, run: Any, staff: Any
    ) -> None:
        lines = fill(run, 350)
        wanted = ids(line for line in lines if line.level in {"warning", "error"} or "warning" not in query)
        html = get(staff, run, query)
        shown: list[list[str]] = []
        while True:
            shown.append(rows(html))
            if (following := link(html, "next")) is None:
                break
            html = get(staff, run, following)
        assert [pk for each in shown for pk in each] == wanted
        while (earlier := link(html, "prev")) is not None:
            shown.pop()
            html = get(staff, run, earlier)
            assert rows(html) == shown[-1]
        assert len(shown) == 1

    def test_the_newest_lines_are_one_link_away(self, run: Any, staff: Any) -> None:
        lines = fill(run, 150)
        assert rows(get(staff, run, "?at=end")) == ids(lines[-100:])

    def test_a_permalink_shows_its_line_among_its_neighbours(self, run: Any, staff: Any) -> None:
        lines = fill(run, 150)
        html = get(staff, run, f"?at={lines[120].pk}")
        assert rows(html) == ids(lines[100:150])
        assert f'id="line-{lines[120].pk}" class="log-line line-{lines[120].level} is-requested"' in html
        assert f'href="?at={lines[120].pk}#line-{lines[120].pk}"' in html

    def test_a_permalink_to_a_line_that_the_filter_leaves_out_says_so(self, run: Any, staff: Any) -> None:
        line = next(line for line in fill(run, 30) if line.level == "debug")
        html = get(staff, run, f"?level=error&at={line.pk}")
        assert "the filter excludes it" in html
        assert f'href="?at={line.pk}#line-{line.pk}"' in html
        assert len(rows(html)) == 3

    def test_a_permalink_to_a_line_of_another_run_shows_nothing_of_it(self, run: Any, staff: Any) -> None:
        fill(run, 3)
        other = ExecutionLogFactory(message="of another")
        html = get(staff, run, f"?at={other.pk}")
        assert "no such line" in html
        assert "of another" not in html

    def test_the_first_error_is_one_link_away(self, run: Any, staff: Any) -> None:
        lines = fill(run, 100)
        first = next(line for line in lines if line.level == "error")
        html = get(staff, run, "?at=error")
        assert f'id="line-{first.pk}" class="log-line line-error is-requested"' in html

    def test_a_run_without_an_error_says_so(self, run: Any, staff: Any) -> None:
        ExecutionLogFactory(workflow_execution=run)
        html = get(staff, run, "?at=error")
        assert "No line of this view is an error." in html
        assert len(rows(html)) == 1

    def test_a_view_can_begin_at_a_line(self, run: Any, staff: Any) -> None:
        lines = fill(run, 30)
        assert rows(get(staff, run, f"?start={lines[20].pk}")) == ids(lines[20:])


class TestFilters:
    @pytest.mark.parametrize(("level", "kinds"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
    def test_a_level_shows_this_and_above(self, level: str, kinds: int, run: Any, staff: Any) -> None:
        lines = fill(run, 40)
        wanted = LogLevel.values[-kinds:]
        assert rows(get(staff, run, f"?level={level}")) == ids(line for line in lines if line.level in wanted)

    def test_a_node_shows_its_own_lines(self, run: Any, workflow: Any, staff: Any) -> None:
        fill(run, 5)
        node = NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.get(name="rank"))
        line = ExecutionLogFactory(workflow_execution=run, node_execution=node)
        html = get(staff, run, f"?node={node.pk}")
        assert rows(html) == [str(line.pk)]
        assert f'<option value="{node.pk}" selected>rank</option>' in html

    def test_they_are_kept_by_every_link(self, run: Any, staff: Any) -> None:
        fill(run, 250)
        html = get(staff, run, "?level=info&time=start&wrap=1")
        assert link(html, "next").startswith("?level=info&time=start&wrap=1&after=")
        assert 'href="download/?level=info&amp;time=start&amp;wrap=1&amp;format=text"' in html

    @pytest.mark.parametrize(
        "query",
        ["level=bogus", "node=1", "context=5", "time=noon", "start=x", "at=x", "after=x", "before=1"]
        + [f"{name}={uuid7()}" for name in ("after", "before")],
    )
    def test_an_invalid_query_parameter_is_named(self, query: str, run: Any, staff: Any) -> None:
        fill(run, 1)
        assert f"asks for {query}" in text_of(get(staff, run, f"?{query}", status=400))

    @pytest.mark.parametrize(
        "query",
        [
            *(f"places={value}" for value in ("", "a-b", "5-3", "3-4,1-2", "1", "0-99999")),
            *("base=-1&places=1-2", "mark=x", "until=x", "whole=x", f"mark={uuid7()}"),
        ],
    )
    def test_an_invalid_parameter_of_a_window_is_refused(self, query: str, run: Any, staff: Any) -> None:
        fill(run, 1)
        assert "The address asks for" in get(staff, run, f"?{query}&fragment=1", part="lines/", status=400)


class TestIndexAndWindows:
    def test_marks_and_windows_meet_without_gap_or_double(self, run: Any, staff: Any) -> None:
        lines = fill(run, 350)
        found = json.loads(get(staff, run, part="index/"))
        assert found["count"] == 350
        assert found["marks"] == ids(lines[::100])
        ends = [*found["marks"][1:], ""]
        windows = [
            rows(get(staff, run, f"?mark={a}&until={b}", "lines/")) for a, b in zip(found["marks"], ends, strict=True)
        ]
        assert [len(each) for each in windows] == [100, 100, 100, 50]
        assert [pk for each in windows for pk in each] == ids(lines)

    @pytest.mark.parametrize("query", ["", "?level=warning", "?level=error"])
    def test_it_counts_the_levels_and_places_the_errors(self, query: str, run: Any, staff: Any) -> None:
        lines = [line for line in fill(run, 120) if not query or line.level in {query[7:], "error"}]
        found = json.loads(get(staff, run, query, "index/"))
        assert found["counts"] == {
            level: count for level in LogLevel.values if (count := sum(line.level == level for line in lines))
        }
        assert found["errors"] == [place for place, line in enumerate(lines) if line.level == "error"]

    def test_it_knows_the_place_of_a_line(self, run: Any, staff: Any) -> None:
        lines = fill(run, 250)
        assert json.loads(get(staff, run, f"?at={lines[217].pk}", "index/"))["place"] == 217
        assert json.loads(get(staff, run, f"?at={uuid7()}", "index/"))["place"] is None

    def test_more_lines_than_are_counted_are_said_to_be_more(self, run: Any, staff: Any, monkeypatch: Any) -> None:
        fill(run, 40)
        monkeypatch.setattr(limits, "INDEXED_LINES", 30)
        found = json.loads(get(staff, run, part="index/"))
        assert (found["count"], found["more"], sum(found["counts"].values())) == (30, True, 30)
        assert "more than 30 lines" in get(staff, run)

    def test_what_is_new_is_requested_behind_the_last_line(self, run: Any, staff: Any) -> None:
        lines = fill(run, 30)
        assert rows(get(staff, run, f"?after={lines[24].pk}", "lines/")) == ids(lines[25:])
        assert rows(get(staff, run, f"?after={lines[-1].pk}", "lines/")) == []

    def test_a_window_begins_with_how_much_later_it_is(self, run: Any, staff: Any) -> None:
        ExecutionLogFactory(workflow_execution=run, timestamp=START)
        late = ExecutionLogFactory(workflow_execution=run, timestamp=START + timedelta(minutes=5, seconds=3))
        assert "5 min 3 s later" in get(staff, run, f"?mark={late.pk}", "lines/")

    @pytest.mark.parametrize("query", ["", "?q=message", "?q=message&context=all", "?level=info"])
    def test_as_many_queries_for_many_lines_as_for_few(self, query: str, run: Any, workflow: Any, staff: Any) -> None:
        client, numbers = client_of(staff), []
        node = NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.get(name="rank"))
        for count in (5, 300):
            fill(run, count, node_execution=node)
            with CaptureQueriesContext(connection) as queries:
                client.get(address(run, query))
            numbers.append(len(queries))
        assert numbers[0] == numbers[1] <= 25

    def test_no_data_and_no_whole_message_is_read(self, run: Any, staff: Any) -> None:
        fill(run, 3)
        with CaptureQueriesContext(connection) as queries:
            get(staff, run)
        sql = "\n".join(query["sql"] for query in queries)
        sql = re.sub(r'LEFT\("execution_logs"."message", \d+\)|"execution_logs"."data" IS NOT NULL', "", sql)
        assert not re.search(r'"execution_logs"."(message|data)"|OFFSET', sql)


class TestSearch:
    def test_matches_are_shown_with_the_lines_around_them(self, run: Any, staff: Any) -> None:
        lines = fill(run, 100)
        places_of = [place for place, line in enumerate(lines) if line.message in {"message 40", "message 77"}]
        html = get(staff, run, "?q=essage+40&context=0")
        assert rows(html) == [str(lines[places_of[0]].pk)]
        html = get(staff, run, "?q=message+77")
        assert rows(html) == ids(lines[places_of[1] - 3 : places_of[1] + 4])
        assert "1 match" in text_of(html)
        assert f"… {places_of[1] - 3} lines" in text_of(html)

    def test_lines_between_matches_are_counted_and_ranges_that_touch_are_one(self, run: Any, staff: Any) -> None:
        for i in range(40):
            ExecutionLogFactory(
                workflow_execution=run,
                timestamp=START + timedelta(seconds=i),
                message="hit" if i in {5, 11, 30} else "-",
            )
        html = get(staff, run, "?q=HIT")
        assert len(rows(html)) == 13 + 7
        assert re.findall(r"… (\d+) lines", text_of(html)) == ["2", "12"]
        assert html.count("<mark>hit</mark>") == 3
        assert "3 matches" in text_of(html)

    def test_every_match_is_on_one_of_the_pages(self, run: Any, staff: Any) -> None:
        lines = fill(run, 120)
        first = get(staff, run, "?q=message&context=0")
        second = get(staff, run, link(first, "next"))
        assert rows(first) + rows(second) == ids(lines[: 2 * limits.LOG_PAGE_MATCHES])
        assert rows(get(staff, run, link(second, "prev"))) == rows(first)

    def test_a_script_asks_for_the_same_lines_by_their_places(self, run: Any, staff: Any) -> None:
        lines = fill(run, 350)
        found = json.loads(get(staff, run, "?q=message+31", "index/"))
        assert found["matches"] == [place for place, line in enumerate(lines) if "message 31" in line.message]
        mark = f"&mark={found['marks'][1]}&base=100"
        html = get(staff, run, f"?places=120-122,300-301{mark}&skip=110", "lines/")
        assert rows(html) == ids([*lines[120:123], *lines[300:302]])
        assert re.findall(r"… (\d+) lines", text_of(html)) == ["10", "177"]
        assert re.findall(r'data-place="(\d+)"', html) == ["120", "121", "122", "300", "301"]

    def test_more_matches_than_are_kept_are_said_to_be_more(self, run: Any, staff: Any, monkeypatch: Any) -> None:
        fill(run, 12)
        monkeypatch.setattr(limits, "INDEXED_MATCHES", 10)
        assert "more than 10 matches" in text_of(get(staff, run, "?q=message"))

    def test_characters_of_patterns_are_searched_literally(self, run: Any, staff: Any) -> None:
        fill(run, 5)
        ExecutionLogFactory(workflow_execution=run, message="100% of a_b\\c (x)")
        for q in ("100%25", "a_b", "b\\c", "(x)"):
            assert len(rows(get(staff, run, f"?q={q}&context=0"))) == 1
        assert rows(get(staff, run, "?q=a.b&context=0")) == []


class TestStates:
    def test_a_running_run_without_lines_says_so(self, run: Any, staff: Any) -> None:
        assert "has no log lines yet" in get(staff, run)
        assert "has no log lines yet" in get(staff, run, "?level=error")

    def test_a_run_that_ended_without_a_line(self, run: Any, staff: Any) -> None:
        run.complete()
        html = get(staff, run)
        assert "ended without log lines" in html
        assert "no log lines yet" not in html

    @pytest.mark.parametrize("query", ["?q=nothing+like+this", "?level=error"])
    def test_a_filter_that_no_line_fits(self, query: str, run: Any, staff: Any) -> None:
        ExecutionLogFactory(workflow_execution=run)
        html = get(staff, run, query)
        assert "none fits the filter" in html
        assert 'href="?">Show all lines' in html

    def test_a_page_behind_the_last_line(self, run: Any, staff: Any) -> None:
        assert "No lines beyond this one" in get(staff, run, f"?after={fill(run, 2)[-1].pk}")
