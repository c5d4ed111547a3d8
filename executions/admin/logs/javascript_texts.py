"""Translated texts of log_page.js."""

from django.utils.translation import gettext, ngettext

from executions.admin.types import JSON


def javascript_texts() -> JSON:
    """Return the texts by name; those with a count as a pair of singular and plural."""
    return {
        "new": [ngettext("%(count)s new line", "%(count)s new lines", count) for count in (1, 2)],
        "lines": [ngettext("%(count)s line", "%(count)s lines", count) for count in (1, 2)],
        "errors": [ngettext("%(count)s error", "%(count)s errors", count) for count in (1, 2)],
        "warnings": [ngettext("%(count)s warning", "%(count)s warnings", count) for count in (1, 2)],
        "match": gettext("match %(place)s of %(count)s"),
        "failed": gettext("These lines could not be loaded."),
        "again": gettext("Try again"),
        "noError": gettext("No line of this view is an error."),
        "following": gettext("Following what is new."),
        "paused": gettext("Paused. New lines are counted."),
        "ended": gettext("The run has ended, so no new lines follow."),
        "copied": gettext("The address now leads to this line."),
        "search": gettext("To the search"),
        "next": gettext("To the next match"),
        "previous": gettext("To the match before"),
        "follow": gettext("Follow what is new, or stop"),
        "error": gettext("To the first error, and on to the next"),
        "wrap": gettext("Wrap long lines, or not"),
        "times": gettext("Times: date, how long ago, since the start"),
        "help": gettext("This list of keys"),
    }
