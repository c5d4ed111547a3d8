"""Text for files that terminals and editors show: no character of a message acts on them, or can look like a new line
of the log."""

import json
import re

# Controls, and what turns, joins or hides the text around it: marks of direction, of no width, of lines, and tags.
UNSEEN = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff"
    "\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
)
BREAK = re.compile(r"\r\n|[\n\r]")  # what ends a line of a message; others are made visible
CONTINUED = "    | "  # ahead of each further line of a message: no line of the log begins with a space


def escape_controls(text: str) -> str:
    r"""Return `text` with what cannot be seen as its escape, such as \x1b or \u202e. Tabs stay."""
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def split_lines(text: str) -> str:
    """Return a message as lines of a file, of which only the first may look like a line of the log."""
    return f"\n{CONTINUED}".join(escape_controls(line) for line in BREAK.split(text))


def in_json(text: str) -> str:
    """Return JSON with what cannot be seen escaped: it stays the same JSON."""
    return UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text)
