"""The cause of a failure: the class of the exception, else what is the same in messages that differ by numbers, ids,
paths and what they quote. In time linear in the texts."""

import re
from dataclasses import dataclass

from .report_texts import SILENT_CLASS, class_in

# Classes that are raised for anything: the message tells their causes apart.
GENERAL = {"BaseException", "Error", "Exception", "RuntimeError"}
# What a message begins with is a class where it has the name of one: "KeyError: 'close'", not "Prices: no rows".
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


@dataclass(frozen=True)
class Cause:
    """The cause that failures have in common. `exception` is the name of a class without its modules, or empty;
    `message` is empty where the class is enough."""

    exception: str
    message: str


def cause(message: str | None, traceback: str | None = None) -> Cause:
    """Return the cause of a failure; of `traceback` the end is enough."""
    line = first_line(message)
    named = NAMED.match(line)
    exception = class_in(traceback or "") or (named[1] if named else "")
    return Cause(exception, normalize_message(line) if exception in GENERAL or not exception else "")


def first_line(text: str | None) -> str:
    """Return the first line that says something."""
    return next((line.strip() for line in (text or "").splitlines() if line.strip()), "")


def normalize_message(text: str | None) -> str:
    """Return the first line without numbers, ids, paths and quotations."""
    line = HEX.sub("#", PATH.sub("/…", QUOTED.sub("“…”", first_line(text))))
    return " ".join(COUNTED.sub("#", WORD.sub(_with_numbers_removed, line)).split())


def _with_numbers_removed(word: re.Match[str]) -> str:
    return "#" if DIGIT.search(word[0]) else word[0]
