"""The small chart of a workflow's last days: completed runs above the axis, failed ones below.

The monitor draws ten of them, and a template takes ten times as long as string formatting.
"""

from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ledgerkit.time_zones import clock

from .workflow_health import Bar, Chart

CHART = (
    '<svg class="chart chart-small" viewBox="0 0 140 {height}" preserveAspectRatio="none" role="img"'
    ' aria-label="{title} {numbers} "><path class="axis" d="M0 100h140"/>{bars}</svg>'
)
BAR = '<g transform="translate({left} 0)"><title>{since} – {until}: {numbers}</title>{completed}{failed}</g>'
RECT = '<rect class="{status}" x="2" y="{top}" width="16" height="{height}"/>'


def render_daily_chart(chart: Chart) -> SafeString:
    title = escape(_("Completed and failed, day by day:"))
    numbers = " ".join(map(_numbers, chart.bars))
    bars = "".join(map(_bar, chart.bars))
    return SafeString(CHART.format(height=chart.height, title=title, numbers=numbers, bars=bars))


def _numbers(bar: Bar) -> str:
    return f"{bar.completed}/{bar.failed}"


def _bar(bar: Bar) -> str:
    return BAR.format(
        left=bar.place * 20,
        since=clock(bar.since, "minutes"),
        until=clock(bar.until, "minutes"),
        numbers=_numbers(bar),
        completed=_rect("completed", bar.completed_top, bar.completed_height) if bar.completed else "",
        failed=_rect("failed", 104, bar.failed_height) if bar.failed else "",
    )


def _rect(status: str, top: float, height: float) -> str:
    return RECT.format(status=status, top=top, height=height)
