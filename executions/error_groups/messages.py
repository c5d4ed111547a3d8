"""Messages of errors: the class that one begins with, and its line without numbers, ids, paths and quotations, so that
messages that differ only in these are equal. Takes time linear in the text."""

import re

from executions.text_limits import SILENT_CLASS

# A message begins with a class if its first word looks like one: "KeyError: 'close'", but not "Prices: no rows".
NAMED = re.compile(
    r"(?:\w+\.)*([^\W\d]\w*(?:Error|Exception|Exit|Failure|Fault|Interrupt|Timeout|Warning))"
    rf"(?=:|$|{re.escape(SILENT_CLASS.format(name=''))}$)"
)
QUOTED = re.compile(r"""(?<!\w)(?:'[^']*'|"[^"]*"|`[^`]*`)(?!\w)|“[^“”]*”|‘[^‘’]*’|«[^«»]*»""")
PATH = re.compile(
    r"""(?<![^\s(\[<=,:])(?:[A-Za-z][A-Za-z0-9+.]{0,20}://|[A-Za-z]:\\|(?:~|\.{1,2})?/)[^\s,;()\[\]<>]+"""
)
HEX = re.compile(r"\b[0-9a-fA-F]{8}(?:(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?\b|\b[0-9a-fA-F]{8,}\b")
WORD = re.compile(r"\w+")
DIGIT = re.compile(r"\d")
COUNTED = re.compile(r"[+-]?#(?:[.,:/+-]#)*")


def first_line(text: str | None) -> str:
    """Return the first line that is not blank."""
    return next((line.strip() for line in (text or "").splitlines() if line.strip()), "")


def normalize_message(text: str | None) -> str:
    """Return the first line without numbers, ids, paths and quotations."""
    line = HEX.sub("#", PATH.sub("/…", QUOTED.sub("“…”", first_line(text))))
    return " ".join(COUNTED.sub("#", WORD.sub(_with_numbers_removed, line)).split())


def _with_numbers_removed(word: re.Match[str]) -> str:
    return "#" if DIGIT.search(word[0]) else word[0]
