"""Render log lines as HTML in Python. A template took eight times as long, and following a busy run renders a thousand
lines a second, which delays every other request of the process."""

from collections.abc import Iterable
from html import escape  # django.utils.html.escape() handles lazy strings and takes three times as long

from django.template.defaultfilters import floatformat
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, gettext_noop, ngettext

from .log_line_presenter import PLACEHOLDER_ID, LineRow
from .query_parameters import LogQuery

COPY_LINK = gettext_noop("Copy the link to this line")
LONGEST_NODE = 12  # letters of a name that surely fit into its column


def render_rows(lines: Iterable[LineRow], log_query: LogQuery) -> SafeString:
    placeholder = str(PLACEHOLDER_ID)  # reverse() once, not once a line
    pages = reverse("admin:executions_executionlog_change", args=[placeholder])
    copy = _copy_button()
    rows = (_row(line, log_query, pages.replace(placeholder, line.pk), copy) for line in lines)
    return mark_safe("".join(rows))  # noqa: S308  # each part is escaped, or made of ids and numbers


def _copy_button() -> str:
    """Return the button that copies the link to a line, the same for all; copy_buttons.js takes the first link of the
    row."""
    name = escape(gettext(COPY_LINK))
    return f'<button type="button" class="copy line-copy" data-copy-link aria-label="{name}"></button>'


def _row(line: LineRow, log_query: LogQuery, page: str, copy: str) -> str:
    """Render a line, after the gap of skipped lines before it, if any."""
    gap = _gap(line.skipped, log_query) if line.skipped > 0 else ""
    place = "" if line.place is None else f' data-place="{line.place}"'
    return (
        f'{gap}<li id="line-{line.pk}" class="{_classes(line)}" data-row data-time="{line.moment}"{place}>'
        f'<a class="log-time" href="{escape(line.link)}#line-{line.pk}"><time datetime="{line.moment}"'
        f' title="{line.moment}">{escape(line.shown_time)}</time></a> '
        f'<span class="level level-{line.level}">{escape(line.label)}</span> {_node(line)} '
        f'<span class="log-message">{_message(line, page)}</span>{copy}</li>\n'
    )


def _gap(skipped: int, log_query: LogQuery) -> str:
    text = ngettext("… %(number)s line", "… %(number)s lines", skipped) % {"number": floatformat(skipped, "0g")}
    return f'<li class="log-gap"><a href="{escape(log_query.without().query())}">{escape(text)}</a></li>'


def _classes(line: LineRow) -> str:
    flags = {
        "is-later": line.later,
        "is-begin": line.begins,
        "is-open": line.is_open,
        "is-requested": line.is_requested,
    }
    return " ".join(["log-line", f"line-{line.level}", *(name for name, is_set in flags.items() if is_set)])


def _node(line: LineRow) -> str:
    if not line.node:
        return '<span class="log-node"></span>'
    name = escape(line.node)
    title = f' title="{name}"' if len(line.node) > LONGEST_NODE else ""  # what may be cut off
    return f'<a class="log-node shade-{line.shade}" href="{escape(line.node_link)}"{title}>{name}</a>'


def _message(line: LineRow, page: str) -> str:
    parts = [f'<span class="log-text">{line.html}</span>']
    if line.attempt > 1:
        text = gettext("attempt %(number)s") % {"number": line.attempt}
        parts.insert(0, f'<span class="log-attempt">{escape(text)}</span>')
    if line.later:
        text = gettext("%(duration)s later") % {"duration": line.later}
        parts.insert(0, f'<span class="log-later">{escape(text)}</span>')
    if line.more_lines or line.is_long:
        parts.append(_more(line, page))
    if line.is_cut:
        parts.append(f'<span class="quiet">{escape(gettext("cut"))}</span>')
    if line.has_data:
        parts.append(f'<a class="log-data" href="{page}">{escape(gettext("data"))}</a>')
    return " ".join(parts)


def _more(line: LineRow, page: str) -> str:
    count = line.more_lines
    folded = ngettext("+%(counter)s line", "+%(counter)s lines", count) % {"counter": count}
    is_long = " data-long" if line.is_long else ""
    text = escape(gettext("show all") if line.is_long else folded)
    return f'<a class="log-more" data-more="{line.pk}"{is_long} href="{page}">{text}</a>'
