"""SVG of a run's page for up to a thousand nodes: a box in the graph and a lane in the timeline for each.

A template takes ten times as long as string formatting. Texts are escaped where they are inserted. The parts that all
boxes share are in _graph.html, graph.css and run.css.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import batched
from typing import Any
from uuid import UUID

from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from executions.admin import formatting, statuses
from executions.admin.types import JSON

from .graph_chart import FanOutBox, RunBox, RunDrawing
from .timeline import Bar, Lane

BOX = (
    '<a class="box status-{status}"{anchor} href="?node={id}#node"{current} aria-label="{description}"'
    ' transform="translate({x} {y})">{title}<use href="#box-{status}"/><text>{label}</text>'
    '<text class="time">{time}</text></a>\n'
)
UNREPORTED = (
    '<g class="box unreported" role="img" aria-label="{description}" transform="translate({x} {y})">{title}'
    '<use href="#box"/><text>{label}</text><text class="box-state">{word}</text></g>\n'
)
FAN_OUT = (
    '<a class="box fan-out status-{status}"{anchor} href="{address}" data-fan-out="{key}" data-names="{names}"'
    ' data-executions="{executions}"{current} aria-label="{description}" transform="translate({x} {y})">'
    '<title>{all_names}</title><use href="#box-fan-out"/>'
    '<text>{label}</text><text class="numbers">{numbers}</text><text class="time">{count}×</text></a>\n'
)
NUMBER = '<tspan class="status-{status}">{sign} {number}</tspan>'
LANE = (
    '<li><a class="lane status-{status}" href="?node={id}#node"{current}{title}><span class="lane-name">'
    '<span class="visually-hidden">{word}: </span>{label}</span>{bars}'
    '<span class="lane-end">{again}{time}</span></a></li>\n'
)
BAR = '<rect class="bar bar-{kind}" x="{left}%" width="{width}%"><title>{label}</title></rect>'
HATCH = '<rect class="bar hatch" x="{left}%" width="{width}%"/>'
CURRENT = ' aria-current="true"'
BOXES_AT_ONCE, LINES_AT_ONCE = 40, 200


def render_boxes(drawn: RunDrawing, chosen: UUID | None, addresses: Mapping[str, str]) -> SafeString:
    """Render the boxes. The panel shows the execution whose id is `chosen`. The box to scroll to has an id. `addresses`
    lead to the page with a fan-out opened."""
    unreported, scroll_target = escape(_("not reported")), drawn.scroll_target
    each = [
        _fan_out(box, chosen, scroll_target, addresses[box.fan_out.key])
        if isinstance(box, FanOutBox)
        else _box(box, chosen, scroll_target)
        if box.row
        else _missing(box, unreported)
        for box in drawn.boxes
    ]
    anchor = f' id="box-{scroll_target.pk}"' if scroll_target else None
    return SafeString("".join(_in_turn("boxes", each, BOXES_AT_ONCE, anchor)))


def render_lines(drawn: RunDrawing) -> SafeString:
    usual = (f'<path d="{d}"/>' for d in drawn.lines)
    of_failure = (f'<path class="fallen" d="{d}"/>' for d in drawn.failure_lines)
    return SafeString("".join(_in_turn("lines", [*usual, *of_failure], LINES_AT_ONCE)))


def _in_turn(name: str, parts: list[str], at_once: int, anchor: str | None = None) -> Iterator[str]:
    """Yield the parts in groups, which a page displays one by one (in_turn.js). The group that contains `anchor`, to
    which the page scrolls, is displayed at once; without an anchor, the first group."""
    for number, group in enumerate(batched(parts, at_once)):
        text = "".join(group)
        is_first = anchor in text if anchor else number == 0
        yield text if is_first else f'<g class="in-turn" data-turn="{name}-{number}">\n{text}</g>\n'


def render_lanes(shown: Iterable[Lane], chosen: UUID | None) -> SafeString:
    return SafeString("".join(_lane(lane, chosen) for lane in shown))


def render_bars(found: list[Bar]) -> SafeString:
    """Render the bars with their duration and, if there were several attempts, their number."""
    inside = "".join(_bar(bar, several=found[-1].number > 1) for bar in found)
    return SafeString(f'<svg class="bars" aria-hidden="true">{inside}</svg>')


def _box(box: RunBox, chosen: UUID | None, scroll_target: Any) -> str:
    row = box.row
    often = f"{box.count}× · " if box.count > 1 else f"↻ {row.attempt} · " if row.attempt > 1 else ""
    return BOX.format(
        id=row.pk,
        status=row.status,
        anchor=f' id="box-{row.pk}"' if row is scroll_target else "",
        current=CURRENT if row.pk == chosen else "",
        time=often + escape(box.time),
        **_label(box),
    )


def _fan_out(box: FanOutBox, chosen: UUID | None, scroll_target: Any, address: str) -> str:
    names = box.fan_out.names
    is_first = scroll_target is not None and any(row is scroll_target for row in box.shown)
    return FAN_OUT.format(
        key=box.fan_out.key,
        address=escape(address),
        names=escape("\n".join(names)),
        all_names=escape(box.fan_out.title),
        status=box.row.status if box.row else "none",
        anchor=f' id="box-{scroll_target.pk}"' if is_first else "",
        executions=" ".join(str(row.pk) for row in box.shown),
        current=CURRENT if any(row.pk == chosen for row in box.shown) else "",
        numbers=" ".join(_number(status, number) for status, number in box.numbers),
        count=len(names),
        **{name: value for name, value in _label(box).items() if name != "title"},
    )


def _number(status: str, number: int) -> str:
    return NUMBER.format(status=status or "none", sign=statuses.SIGNS.get(status, "·"), number=number)


def _missing(box: RunBox, word: str) -> str:
    return UNREPORTED.format(word=word, **_label(box))


def _label(box: RunBox) -> JSON:
    title = f"<title>{escape(box.name)}</title>" if box.label != box.name else ""
    return {"x": box.x, "y": box.y, "description": escape(box.description), "label": escape(box.label), "title": title}


def _lane(lane: Lane, chosen: UUID | None) -> str:
    row = lane.row
    return LANE.format(
        id=row.pk,
        status=row.status,
        current=CURRENT if row.pk == chosen else "",
        title=f' title="{escape(row.name)}"' if lane.label != row.name else "",
        word=escape(statuses.label(row.status)),
        label=escape(lane.label),
        bars=render_bars(lane.bars),
        again=_attempt_mark(row.attempt) if row.attempt > 1 else "",
        time=escape(formatting.duration_text(row)),
    )


def _attempt_mark(attempt: int) -> str:
    title = escape(_("attempt %(number)d") % {"number": attempt})
    return f'<span class="quiet" title="{title}">↻ {attempt}</span> '


def _bar(bar: Bar, *, several: bool) -> str:
    label = f"{bar.number} · {bar.label}" if several else bar.label
    drawn = BAR.format(kind=bar.kind, left=bar.left, width=bar.width, label=escape(label))
    return drawn + HATCH.format(left=bar.left, width=bar.width) if bar.kind == "failed" else drawn
