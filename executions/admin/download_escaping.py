"""Escape messages for downloads: no character can control a terminal or editor, or imitate the start of a log line."""

import json
import re

# Control characters, and format characters that reorder, join or hide text: bidi marks, zero-width, line marks, tags.
UNSEEN = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff"
    "\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
)
BREAK = re.compile(r"\r\n|[\n\r]")  # line ends within a message; other line separators are escaped
CONTINUED = "    | "  # prefix of the further lines of a message: no log line begins with a space


def escape_controls(text: str) -> str:
    r"""Return `text` with invisible characters escaped, such as \x1b or \u202e. Tabs stay."""
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def mark_continuation_lines(text: str) -> str:
    """Return a message whose further lines are prefixed with CONTINUED, so that none can look like a log line."""
    return f"\n{CONTINUED}".join(escape_controls(line) for line in BREAK.split(text))


def in_json(text: str) -> str:
    """Return JSON text with invisible characters escaped, which parses to the same value."""
    return UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text)
