"""Pages are shown in the reader's time zone, which they name once; what programs read is in UTC."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from executions import rollups
from executions.admin import page_streams
from executions.admin.charts.timeline import Scale
from executions.admin.filters import period_filters
from executions.admin.monitor import workflow_health
from executions.admin.workflow import duration_chart
from executions.models import WorkflowExecution
from executions.tests.factories import ExecutionLogFactory, WorkflowExecutionFactory, in_state
from ledgerkit import time_zones
from pastetrader import env
from workflows.tests.factories import UserFactory

SEOUL, NEW_YORK, BERLIN = "Asia/Seoul", "America/New_York", "Europe/Berlin"
RUNS = "/admin/executions/workflowexecution/"
LATE = datetime(2026, 3, 7, 16, 30, tzinfo=UTC)  # half past one on 8 March in Seoul


@pytest.fixture
def client(db: None) -> Client:
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def seoul(client: Client) -> Client:
    client.cookies[time_zones.COOKIE] = SEOUL
    return client


@pytest.fixture
def run(db: None) -> WorkflowExecution:
    run = in_state(WorkflowExecutionFactory(workflow__name="late"), "failed")
    begin = LATE - timedelta(minutes=1)
    WorkflowExecution.objects.filter(pk=run.pk).update(created_at=begin, started_at=begin, ended_at=LATE)
    ExecutionLogFactory(workflow_execution=run, timestamp=LATE, message="that was it")
    run.refresh_from_db()
    return run


@pytest.fixture
def set_time(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set what time it is."""
    return lambda moment: monkeypatch.setattr(timezone, "now", lambda: moment)


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


class TestToday:
    def list_ids(self, client: Client, query: str) -> list[Any]:
        return [run.pk for run in client.get(f"{RUNS}?{query}").context["cl"].result_list]

    @pytest.mark.parametrize("hour", [23, 16])
    def test_begins_at_the_readers_midnight(self, seoul: Client, run: Any, set_time: Any, hour: int) -> None:
        set_time(datetime(2026, 3, 7, hour, 45, tzinfo=UTC))  # 8 March in Seoul
        assert self.list_ids(seoul, "status=failed&ended=today") == [run.pk]

    def test_of_another_reader_it_was_yesterday(self, seoul: Client, run: Any, set_time: Any) -> None:
        set_time(datetime(2026, 3, 8, 0, 30, tzinfo=UTC))
        assert self.list_ids(seoul, "status=failed&ended=today") == [run.pk]
        del seoul.cookies[time_zones.COOKIE]
        assert self.list_ids(seoul, "status=failed&ended=today") == []

    def test_a_midnight_that_came_twice_is_the_first(self, set_time: Any) -> None:
        set_time(datetime(2026, 11, 1, 5, 30, tzinfo=UTC))
        with timezone.override("America/Havana"):  # at 1:00 it was 0:00 again
            assert period_filters.period_start("today") == datetime(2026, 11, 1, 4, tzinfo=UTC)

    def test_days_are_24_hours_across_a_change_of_clocks(self, set_time: Any) -> None:
        set_time(now := datetime(2026, 3, 8, 16, 30, tzinfo=UTC))
        with timezone.override(NEW_YORK):
            assert period_filters.period_start("1").astimezone(UTC) == now - timedelta(hours=24)

    def test_a_time_typed_without_its_zone_is_the_readers(self, seoul: Client, run: Any) -> None:
        assert self.list_ids(seoul, "ended_between=2026-03-08T01:00~2026-03-08T02:00") == [run.pk]
        assert self.list_ids(seoul, "ended_between=2026-03-07T16:00Z~2026-03-07T17:00Z") == [run.pk]
        del seoul.cookies[time_zones.COOKIE]
        assert self.list_ids(seoul, "ended_between=2026-03-08T01:00~2026-03-08T02:00") == []


class TestPages:
    def test_times_of_the_run_its_log_and_its_lists(self, seoul: Client, run: Any) -> None:
        for address in (f"{RUNS}{run.pk}/change/", f"{RUNS}{run.pk}/logs/", f"{RUNS}?status=failed"):
            html = page(seoul, address)
            assert "2026-03-08 01:" in html, address
            assert "2026-03-07 16:" not in html, address

    @pytest.mark.parametrize(("hour", "offset"), [(0, "+02:00"), (1, "+01:00")])
    def test_an_hour_that_came_twice_is_told_apart_by_its_offset(
        self, client: Client, run: Any, hour: int, offset: str
    ) -> None:
        client.cookies[time_zones.COOKIE] = BERLIN
        moment = datetime(2026, 10, 25, hour, 30, tzinfo=UTC)
        WorkflowExecution.objects.filter(pk=run.pk).update(created_at=moment, started_at=moment, ended_at=moment)
        line = ExecutionLogFactory(workflow_execution=run, timestamp=moment)
        between = f"{moment:%Y-%m-%dT%H:%MZ}~2026-10-25T10:00Z"
        for address, shown in (
            (f"{RUNS}{run.pk}/change/", f"02:30:00{offset}"),
            (f"{RUNS}{run.pk}/logs/", f"02:30:00.000{offset}"),
            (f"{RUNS}?ended_between={between}", f"02:30:00{offset} – 2026-10-25 11:00:00<"),
            ("/admin/executions/executionlog/", f"02:30:00{offset}"),
            (f"/admin/executions/executionlog/{line.pk}/change/", f"02:30:00.000000{offset}"),
            (f"/admin/workflows/workflow/{run.workflow_id}/", f"02:30:00{offset}"),
        ):
            assert f"2026-10-25 {shown}" in page(client, address), address

    def test_a_text_download_has_the_readers_time_with_its_offset(self, seoul: Client, run: Any) -> None:
        download = f"{RUNS}{run.pk}/logs/download/"
        text = b"".join(seoul.get(download, {"format": "text"}).streaming_content).decode()
        assert text.startswith("2026-03-08T01:30:00.000000+09:00 INFO")
        lines = b"".join(seoul.get(download, {"format": "jsonl"}).streaming_content).decode()
        assert '"timestamp":"2026-03-07T16:30:00.000000Z"' in lines

    def test_what_a_page_is_sent_live_is_in_its_zone(self, run: Any) -> None:
        line = {
            "id": str(run.pk), "level": "info", "timestamp": "2026-03-07T16:30:00Z", "message": "hello",
            "data": None, "is_cut": False, "node_execution": None, "attempt": 1,
        }  # fmt: skip
        text = type("Line", (), {"text": page_streams.json.dumps(line), "id": str(run.pk), "moment": ""})()
        with timezone.override(SEOUL):
            step = type("Step", (), {"lines": [text], "of": run})()
            shown = page_streams._render_lines(page_streams.PARTIALS["rows"], True, step)
        assert "2026-03-08 01:30:00" in shown

    @pytest.mark.parametrize("address", ["/admin/", RUNS, f"{RUNS}{{run}}/change/", f"{RUNS}{{run}}/logs/",
        "/admin/executions/nodeexecution/", "/admin/workflows/workflow/", "/admin/workflows/workflow/{workflow}/",
        "/admin/tokens/token/"])  # fmt: skip
    def test_each_names_the_zone_once(self, seoul: Client, run: Any, address: str) -> None:
        html = page(seoul, address.format(run=run.pk, workflow=run.workflow_id))
        assert html.count("Times: Asia/Seoul (UTC+09:00)") == 1

    def test_bars_by_the_hour_across_a_change_of_clocks(self, set_time: Any) -> None:
        set_time(datetime(2026, 3, 8, 16, 30, tzinfo=UTC))
        bounds = rollups.hours_until(timezone.now(), 24)
        with timezone.override(NEW_YORK):
            clocks = [bar.clock for bar in workflow_health._chart([], bounds, {}).bars]
        assert clocks[0] == "11:30 – 12:00"
        assert clocks[13] == "00:00 – 01:00"
        assert clocks[14] == "01:00 (UTC-05:00) – 03:00 (UTC-04:00)"
        assert clocks[15] == "03:00 – 04:00"

    def test_an_axis_of_time_leaves_out_the_hour_that_never_was(self) -> None:
        scale = Scale(datetime(2026, 3, 8, 5, 30, tzinfo=UTC), datetime(2026, 3, 8, 9, 30, tzinfo=UTC))
        with timezone.override(NEW_YORK):
            marks = dict(duration_chart.axis_times(scale))
        assert datetime(2026, 3, 8, 6, tzinfo=UTC) in marks
        assert not [text for text in marks.values() if text.startswith("02:")]


class TestChoice:
    def test_is_kept_for_a_year_and_leads_back(self, client: Client) -> None:
        back = f"{RUNS}?status=failed"
        form = page(client, f"/admin/time-zone/?next={RUNS}")
        assert "<option>Asia/Seoul</option>" in form
        assert f'name="next" value="{RUNS}"' in form
        answer = client.post(reverse("time_zone"), {"time_zone": SEOUL, "next": back})
        assert (answer.status_code, answer["Location"]) == (302, back)
        assert answer.cookies[time_zones.COOKIE]["max-age"] == 365 * 24 * 3600
        assert "Times: Asia/Seoul (UTC+09:00)" in page(client, RUNS)
        assert "<option selected>Asia/Seoul</option>" in page(client, "/admin/time-zone/")
        client.post(reverse("time_zone"), {"time_zone": ""})
        assert "Times: UTC<" in page(client, RUNS)

    @pytest.mark.parametrize("name", ["Asia/Atlantis", "../../etc/passwd", "utc\n"])
    def test_what_is_no_zone_is_refused(self, client: Client, name: str) -> None:
        answer = client.post(reverse("time_zone"), {"time_zone": name})
        assert answer.status_code == 400
        assert "This is not the name of a time zone." in answer.content.decode()
        assert time_zones.COOKIE not in answer.cookies

    def test_a_cookie_that_names_none_counts_for_nothing(self, client: Client) -> None:
        client.cookies[time_zones.COOKIE] = "Asia/Atlantis"
        assert "Times: UTC<" in page(client, RUNS)

    def test_leads_to_no_other_site(self, client: Client) -> None:
        answer = client.post(reverse("time_zone"), {"time_zone": SEOUL, "next": "https://elsewhere.example/"})
        assert answer["Location"] == "/admin/"

    def test_is_for_staff(self, db: None) -> None:
        assert Client().post(reverse("time_zone"), {"time_zone": SEOUL}).status_code == 302
        assert time_zones.COOKIE not in Client().post(reverse("time_zone"), {"time_zone": SEOUL}).cookies

    def test_is_offered_in_korean(self, seoul: Client) -> None:
        seoul.defaults["HTTP_ACCEPT_LANGUAGE"] = "ko"
        assert "시간대: Asia/Seoul (UTC+09:00)" in page(seoul, RUNS)
        assert "이 사이트의 설정: UTC" in page(seoul, "/admin/time-zone/")


class TestSetting:
    def test_is_the_zone_of_whoever_has_chosen_none(self, client: Client, run: Any, settings: Any) -> None:
        settings.TIME_ZONE = SEOUL
        assert "2026-03-08 01:30:00" in page(client, f"{RUNS}{run.pk}/change/")
        assert "Times: Asia/Seoul (UTC+09:00)" in page(client, RUNS)

    def test_what_is_no_zone_stops_the_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TIME_ZONE", "Seoul")
        with pytest.raises(ImproperlyConfigured, match="TIME_ZONE is 'Seoul'; it must be the name of a time zone"):
            env.zone("TIME_ZONE", "UTC")
        monkeypatch.setenv("TIME_ZONE", SEOUL)
        assert env.zone("TIME_ZONE", "UTC") == SEOUL

    def test_the_api_is_in_utc_whatever_is_set_and_chosen(self, seoul: Client, run: Any, settings: Any) -> None:
        settings.TIME_ZONE = NEW_YORK
        said = seoul.get(f"/api/v1/executions/{run.pk}/").json()
        assert said["ended_at"] == "2026-03-07T16:30:00Z"
        line = seoul.get(f"/api/v1/executions/{run.pk}/logs/").json()["results"][0]
        assert line["timestamp"] == "2026-03-07T16:30:00Z"
        events = seoul.get(f"/api/v1/executions/{run.pk}/stream/?wait=0").content.decode()
        assert '"ended_at":"2026-03-07T16:30:00Z"' in events


def test_a_label_is_of_the_clock_that_is_there_now(set_time: Any) -> None:
    set_time(datetime(2026, 7, 1, tzinfo=UTC))
    assert time_zones.zone_label(ZoneInfo(NEW_YORK)) == "America/New_York (UTC−04:00)"
    assert time_zones.zone_label(ZoneInfo("UTC")) == "UTC"
