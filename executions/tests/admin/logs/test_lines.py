"""Lines of a log: how they are shown and sent, and the queries of their page."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.http import QueryDict

from executions import limits
from executions.admin import log_line_rows
from executions.admin.logs import ansi, download, log_line_presenter, paging, querysets, scrollbar_index, views
from executions.models import WorkflowExecution
from executions.tests.admin.logs.test_log_page import MARKUP, START, address, fill, get, ids, rows, run, text_of
from executions.tests.admin.test_query_timeouts import lock_table
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory
from executions.tests.query_plans import plan
from ledgerkit.db.models import uuid7
from ledgerkit.tests.clients import client_of
from workflows.tests.factories import UserFactory

__all__ = ["run"]  # a fixture


class TestHowALineIsShown:
    def test_markup_in_messages_and_searches_is_text(self, run: Any, staff: Any) -> None:
        ExecutionLogFactory(workflow_execution=run, message=f"a {MARKUP} \x1b[31m{MARKUP}\x1b[0m")
        for query in ("", f"?q={MARKUP}", f"?level={MARKUP}"):
            html = client_of(staff).get(address(run, query)).content.decode()
            assert MARKUP not in html.replace("<mark>", "").replace("</mark>", "")

    def test_colours_of_a_terminal_become_classes_and_other_sequences_go(self) -> None:
        said = "\x1b[1;31mbad\x1b[0m \x1b[2K\x1b]0;title\x07\x1b[38;5;9mplain\x1b[39m"
        assert ansi.to_html(said) == '<span class="ansi-bold ansi-red">bad</span> plain'

    def test_control_characters_and_turned_text_are_made_visible(self) -> None:
        assert "␇" in ansi.to_html("ring \x07")
        assert "U+202E" in ansi.to_html("\u202eevil")
        assert "\u202e" not in ansi.to_html("\u202eevil")

    @pytest.mark.parametrize("said", ["\x1b[", "\x1b]", "\x1b[999999999999m", "\x1b[;;m", "\x1b[31", "\x1b[" * 5000])
    def test_a_broken_sequence_breaks_nothing(self, said: str) -> None:
        assert "\x1b" not in ansi.to_html(said + "\n<b>")
        assert ansi.to_html(said + "\n<b>").endswith("\n&lt;b&gt;")

    def test_a_long_message_is_cut_and_given_whole_on_demand(self, run: Any, staff: Any) -> None:
        line = ExecutionLogFactory(workflow_execution=run, message="x" * 60_000 + "END")
        html = get(staff, run)
        assert "xEND" not in html
        assert "show all" in html
        assert len(html) < 40_000
        assert "xEND" in get(staff, run, f"?whole={line.pk}", "lines/")

    def test_several_rows_in_one_message_are_counted(self, run: Any, staff: Any) -> None:
        ExecutionLogFactory(workflow_execution=run, message="one\r\ntwo\rthree\n")
        assert "+2 lines" in text_of(get(staff, run))

    def test_data_is_said_to_be_there_and_leads_to_the_line(self, run: Any, staff: Any) -> None:
        line = ExecutionLogFactory(workflow_execution=run, data={"rows": 4})
        assert f'href="/admin/executions/executionlog/{line.pk}/change/">data</a>' in get(staff, run)

    def test_a_line_shows_its_time_in_three_ways(self, run: Any, staff: Any) -> None:
        WorkflowExecution.objects.filter(pk=run.pk).update(started_at=START)
        moment = START + timedelta(hours=26, minutes=1, seconds=2, microseconds=345_678)
        ExecutionLogFactory(workflow_execution=run, timestamp=moment)
        assert "2026-03-02 14:01:02.345" in get(staff, run)
        assert "+26:01:02.345" in get(staff, run, "?time=start")
        assert " ago" in text_of(get(staff, run, "?time=relative"))

    def test_a_line_before_the_start_of_its_run_has_a_negative_time(self, run: Any) -> None:
        assert log_line_presenter.since_start(run.started_at - timedelta(seconds=61), run) == "−0:01:01.000"

    def test_a_node_keeps_its_colour_and_says_its_name(self, run: Any, workflow: Any, staff: Any) -> None:
        node = NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.get(name="rank"))
        for _ in range(2):
            ExecutionLogFactory(workflow_execution=run, node_execution=node)
        found = re.findall(r'<a class="log-node (shade-\d)" href="([^"]*)">rank</a>', get(staff, run))
        assert len(found) == 2
        assert len(set(found)) == 1
        assert found[0][1].endswith(f"?node={node.pk}#node")

    def test_silence_between_lines_is_shown_as_a_gap(self, run: Any, staff: Any) -> None:
        for minutes in (0, 1, 15):
            ExecutionLogFactory(workflow_execution=run, timestamp=START + timedelta(minutes=minutes, seconds=-minutes))
        html = get(staff, run)
        assert html.count("log-later") == 1
        assert "13 min 46 s later" in html

    def test_a_line_as_it_was_stored_is_shown_as_a_window_shows_it(self, run: Any, workflow: Any, staff: Any) -> None:
        """The stream has the JSON of the API."""
        node = NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.get(name="rank"))
        ExecutionLogFactory(workflow_execution=run, node_execution=node, data={"a": 1}, message="a\nb" + "x" * 9_000)
        shown = paging.first_page(QueryDict(""), run.logs.all(), run.logs.all(), None).lines
        found = client_of(staff).get(f"/api/v1/executions/{run.pk}/logs/").json()["results"]
        streamed = log_line_rows.rows_from_json(found, shows_nodes=True)
        assert list(log_line_presenter.present(shown, run)) == list(log_line_presenter.present(streamed, run))


class TestDownload:
    def parts(self, user: Any, run: Any, query: str) -> tuple[Any, list[str]]:
        response = client_of(user).get(address(run, query, "download/"))
        assert response.status_code == 200
        assert response.streaming
        return response, [part.decode() for part in response]

    def test_everything_as_json_lines_is_what_the_ledger_has(self, run: Any, workflow: Any, staff: Any) -> None:
        node = NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.get(name="rank"))
        lines = fill(run, 25, node_execution=node, data={"rows": [1, "é"]})
        _response, parts = self.parts(staff, run, "?format=jsonl")
        found = [json.loads(line) for line in "".join(parts).splitlines()]
        assert [line["id"] for line in found] == ids(lines)
        assert [line["message"] for line in found] == [line.message for line in lines]
        assert [datetime.fromisoformat(line["timestamp"]) for line in found] == [line.timestamp for line in lines]
        assert {(line["node"], line["node_execution"], str(line["data"])) for line in found} == {
            ("rank", str(node.pk), "{'rows': [1, 'é']}")
        }

    def test_a_view_as_text_has_what_the_view_has(self, run: Any, staff: Any) -> None:
        lines = [line for line in fill(run, 50) if line.level == "error" and "3" in line.message]
        _response, parts = self.parts(staff, run, "?level=error&q=3")
        assert [line.split(" ", 1)[1] for line in "".join(parts).splitlines()] == [
            f"ERROR   {x.message}" for x in lines
        ]

    def test_no_message_forges_a_line_or_acts_on_a_terminal(self, run: Any, staff: Any) -> None:
        forged = "2026-11-28T09:00:00.000000Z ERROR   all rows are lost"
        texts = [f"one{end}{forged}" for end in ("\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029")]
        texts += ["\x1b[2Jgone \x1b]0;title\x07", "\u202eeslaf\u202c", "a\u200bb\tc", "\U000e0041", "\x9b31m"]
        for text in texts:
            ExecutionLogFactory(workflow_execution=run, message=text)
        _response, parts = self.parts(staff, run, "")
        said = "".join(parts)
        assert [line for line in said.splitlines() if line.startswith(forged)] == []
        assert len([line for line in said.splitlines() if line[:1].isdigit()]) == len(texts)
        assert "    | " + forged in said
        assert {each for each in said if not each.isprintable()} == {"\n", "\t"}
        for shown in (r"\x1b[2Jgone \x1b]0;title\x07", r"\u202eeslaf\u202c", r"a\u200bb", r"\U000e0041", r"\x9b31m"):
            assert shown in said
        _response, parts = self.parts(staff, run, "?format=jsonl")
        said = "".join(parts)
        assert sorted(json.loads(line)["message"] for line in said.split("\n") if line) == sorted(texts)
        assert {each for each in said if not each.isprintable()} == {"\n"}

    def test_a_download_reads_lines_in_batches(self, run: Any, staff: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(download, "BATCH", 10)
        lines = fill(run, 30)
        _response, parts = self.parts(staff, run, "?format=jsonl")
        assert [part.count("\n") for part in parts] == [10, 10, 10]
        assert [json.loads(line)["id"] for line in "".join(parts).splitlines()] == ids(lines)

    def test_its_name_tells_the_run_and_what_was_left_out(self, run: Any, staff: Any) -> None:
        response, _parts = self.parts(staff, run, "?level=warning&q=a/b+c&format=jsonl")
        expected = f'attachment; filename="log-momentum-{run.pk}-warning-and-above-with-ab-c.jsonl"'
        assert response["Content-Disposition"] == expected

    def test_another_format_is_refused(self, run: Any, staff: Any) -> None:
        assert "format=pdf" in get(staff, run, "?format=pdf", "download/", 400)


class TestPlans:
    @pytest.fixture
    def lines(self, run: Any, only: Any) -> Any:
        fill(run, 30)
        only("execution_logs", "idx_execution_logs_workflow_execution")
        return run.logs.visible_to(UserFactory(is_staff=True, is_superuser=True))

    def test_a_window_is_read_off_the_index_of_the_run(self, lines: Any) -> None:
        key = (START, uuid7())
        for found in (querysets.lines_after(lines, key), querysets.lines_from(lines, key)):
            self.reads_its_range(plan(found.order_by("timestamp", "id")[:100]))
        self.reads_its_range(plan(querysets.lines_before(lines, key).order_by("-timestamp", "-id")[:100]))

    def test_places_are_counted_along_the_index_of_the_run(self, lines: Any) -> None:
        found = plan(lines.order_by().annotate(number=querysets.PLACE).values("pk", "number"))
        assert "_workflow_execution_id_timesta_idx on" in found
        assert "Sort (cost" not in found

    def reads_its_range(self, found: str) -> None:
        assert "_workflow_execution_id_timesta_idx on" in found
        assert re.search(r"Index Cond: \(\(workflow_execution_id = [^)]*\) AND \(\"timestamp\" [<>]=", found)
        assert "Seq Scan" not in found


@pytest.mark.django_db(transaction=True)
class TestTooSlow:
    @pytest.mark.parametrize("part", ["", "lines/", "index/"])
    def test_lines_that_are_not_found_in_time_are_not_said_to_be_none(self, part: str, monkeypatch: Any) -> None:
        monkeypatch.setattr(limits, "LOG_PAGE_MS", 50)
        run = WorkflowExecutionFactory()
        staff = UserFactory(is_staff=True, is_superuser=True)
        fill(run, 3)
        client = client_of(staff)
        with lock_table("execution_logs"):
            response = client.get(address(run, "?q=x", part))
        html = response.content.decode()
        assert response.status_code == 503
        assert "did not find these lines in time" in html
        assert "none fits" not in html
        assert client.get(address(run, "", part)).status_code == 200

    def test_lines_that_cannot_be_counted_in_time_are_read_all_the_same(self, monkeypatch: Any) -> None:
        run = WorkflowExecutionFactory()
        fill(run, 3)
        staff = UserFactory(is_staff=True, is_superuser=True)

        def slow(*args: Any) -> Any:
            monkeypatch.undo()
            raise views.StatementTimeout

        monkeypatch.setattr(scrollbar_index, "build_index", slow)
        html = get(staff, run)
        assert "could not be counted in time" in html
        assert len(rows(html)) == 3
