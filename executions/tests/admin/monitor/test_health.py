"""Success, percentiles and throughput on the front page."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions.admin.monitor import workflow_health
from executions.admin.monitor.daily_chart import render_daily_chart
from executions.tests.admin.monitor.front_page import ended_run, found, front_page_of, section
from workflows.tests.factories import WorkflowFactory


class TestHealth:
    def test_success_and_percentiles_of_each_workflow_the_busiest_first(self, staff: Any) -> None:
        busy, quiet = WorkflowFactory(name="busy"), WorkflowFactory(name="quiet")
        for seconds in range(1, 22):
            ended_run("completed", timedelta(days=2.5), busy, seconds)
        ended_run("failed", timedelta(days=1.5), busy)
        ended_run("completed", timedelta(days=8), busy, seconds=5000)
        ended_run("failed", timedelta(days=1), quiet)
        first, second = found(staff, "workflows")
        assert (first.name, first.success, first.p50, first.p95) == ("busy", 95.5, "11.0 s", "20.0 s")
        assert [bar.completed for bar in first.chart.bars] == [0, 0, 0, 0, 21, 0, 0]
        assert [bar.failed for bar in first.chart.bars] == [0, 0, 0, 0, 0, 1, 0]
        assert (second.name, second.success, second.p50) == ("quiet", 0.0, "–")
        assert "95.5 %" in section(front_page_of(staff), "workflows")

    def test_where_one_of_many_failed_it_is_not_100_percent(self) -> None:
        completed, failed = workflow_health.Count(99_999, ""), workflow_health.Count(1, "")
        each = workflow_health.Health(None, "", workflow_health.Chart([], completed, failed), completed, None)  # type: ignore[arg-type]  # the success rate reads no percentiles
        assert each.success == 99.9

    def test_the_days_of_a_workflow_are_drawn_without_links(self, staff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        flow = WorkflowFactory()
        ended_run("completed", timedelta(days=2.5), flow)
        ended_run("failed", timedelta(days=1.5), flow)
        [health] = found(staff, "workflows")
        monkeypatch.delattr(workflow_health.presets, "runs_url")
        drawn = render_daily_chart(health.chart)
        assert 'aria-label="Completed and failed, day by day: 0/0 0/0 0/0 0/0 1/0 0/1 0/0 "' in drawn
        assert drawn.count("<title>") == 7
        assert '<rect class="completed" x="2" y="0.0" width="16" height="100.0"/>' in drawn
        assert '<rect class="failed" x="2" y="104" width="16" height="100.0"/>' in drawn

    def test_throughput_is_drawn_by_the_hour_of_the_clock_and_told_in_a_table(self, staff: Any) -> None:
        hour = timezone.now().replace(minute=0, second=0, microsecond=0)
        for ago in (timedelta(), timedelta(hours=3), timedelta(hours=2, minutes=1), timedelta(hours=25)):
            ended_run("completed", timezone.now() - hour + ago)
        ended_run("failed", timedelta(hours=24) - timedelta(seconds=30))
        bars = found(staff, "throughput").bars
        assert [(bar.place, bar.completed) for bar in bars if bar.completed] == [(21, 2), (24, 1)]
        assert [bar.failed for bar in bars[:2]] in ([1, 0], [0, 1])  # the hour may begin within these 30 s
        html = section(front_page_of(staff), "throughput")
        assert html.count('<rect class="completed"') == 2
        assert html.count('<th scope="row">') == 25
