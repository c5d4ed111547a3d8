"""The cause of a failure: the class of the exception, else the message without numbers, ids, paths and quotations, so
that messages that differ only in these count as one cause. Takes time linear in the text."""

import re
from dataclasses import dataclass

from .reported_texts import SILENT_CLASS, exception_class_in

# Classes raised for any kind of failure: only the message distinguishes their causes.
GENERAL = {"BaseException", "Error", "Exception", "RuntimeError"}
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


@dataclass(frozen=True)
class Cause:
    """The common cause of failures. `exception` is the name of a class without its module, or empty; `message` is empty
    if the class alone is the cause."""

    exception: str
    message: str


def cause(message: str | None, traceback: str | None = None) -> Cause:
    """Return the cause of a failure. The end of `traceback` is sufficient."""
    line = first_line(message)
    named = NAMED.match(line)
    exception = exception_class_in(traceback or "") or (named[1] if named else "")
    return Cause(exception, normalize_message(line) if exception in GENERAL or not exception else "")


def first_line(text: str | None) -> str:
    """Return the first line that is not blank."""
    return next((line.strip() for line in (text or "").splitlines() if line.strip()), "")


def normalize_message(text: str | None) -> str:
    """Return the first line without numbers, ids, paths and quotations."""
    line = HEX.sub("#", PATH.sub("/…", QUOTED.sub("“…”", first_line(text))))
    return " ".join(COUNTED.sub("#", WORD.sub(_with_numbers_removed, line)).split())


def _with_numbers_removed(word: re.Match[str]) -> str:
    return "#" if DIGIT.search(word[0]) else word[0]
