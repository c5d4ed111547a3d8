"""Tracebacks of the engine's exceptions. Their parts are copied at the call; the sending thread reads the source and
formats the text. Frames are not kept: their objects would live for as long as the ledger is unavailable."""

import linecache
import traceback
from collections.abc import Iterator
from itertools import islice
from types import CodeType
from typing import NamedTuple

from .safe_text import cut, text_of

CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"
HEADER = "Traceback (most recent call last):\n"
MAX_LINKS = 50  # exceptions of a chain, which may be circular
OF_FRAME = 300  # bytes of a frame's text
# Errors whose text has more parts, or suggests a name that is found in the frames.
WITH_MORE = (SyntaxError, BaseExceptionGroup, NameError, AttributeError, ImportError)

type Place = tuple[CodeType, int, int, dict[str, object]]  # code, line, instruction and globals


class Link(NamedTuple):
    """One exception of a chain. `before` is the sentence that links it to the previous one."""

    kind: type[BaseException]
    message: str
    notes: tuple[str, ...]
    places: list[Place]
    before: str


class CapturedTraceback:
    """The parts of a traceback. str() gives the text of traceback.format_exception()."""

    def __init__(self, links: list[Link]) -> None:
        self.links = links

    @property
    def size(self) -> int:
        return sum(len(link.message) + OF_FRAME * (1 + len(link.places)) for link in self.links)

    def __str__(self) -> str:
        return cut("".join(text for link in reversed(self.links) for text in _lines(link)))


def capture_error(error: BaseException | str) -> tuple[str, CapturedTraceback | str | None]:
    """Return the message and, for an exception, the traceback."""
    if isinstance(error, str):
        return cut(error), None
    try:
        return _capture(error)
    except Exception:  # noqa: BLE001  # its own properties may raise anything
        return cut(f"{type(error).__name__}: {text_of(error)}"), None


def _capture(error: BaseException) -> tuple[str, CapturedTraceback | str]:
    links: list[Link] = []
    each: BaseException | None = error
    while each is not None and len(links) < MAX_LINKS:
        if isinstance(each, WITH_MORE):
            links.clear()
            break
        before, earlier = _before(each)
        links.append(Link(type(each), text_of(each), _notes_of(each), _places(each), before))
        each = earlier
    message = cut(f"{type(error).__name__}: {links[0].message if links else text_of(error)}")
    return message, CapturedTraceback(links) if links else cut("".join(traceback.format_exception(error)))


def _notes_of(error: BaseException) -> tuple[str, ...]:
    notes = getattr(error, "__notes__", None)
    return tuple(map(text_of, notes)) if isinstance(notes, list | tuple) else ()


def _before(error: BaseException) -> tuple[str, BaseException | None]:
    """Return the sentence that says how another exception led to this one, and that exception."""
    if error.__cause__ is not None:
        return CAUSE, error.__cause__
    if error.__context__ is not None and not error.__suppress_context__:
        return CONTEXT, error.__context__
    return "", None


def _places(error: BaseException) -> list[Place]:
    places: list[Place] = []
    found = error.__traceback__
    while found is not None:
        frame = found.tb_frame
        places.append((frame.f_code, found.tb_lineno, found.tb_lasti, frame.f_globals))
        found = found.tb_next
    return places


# --- in the sending thread ------------------------------------------------------
def _lines(link: Link) -> Iterator[str]:
    yield link.before
    if link.places:
        yield HEADER
        for code, _line, _instruction, names in link.places:
            linecache.lazycache(code.co_filename, names)
        for file in {code.co_filename for code, *_rest in link.places}:
            linecache.checkcache(file)
        yield from traceback.StackSummary.from_list(map(_summary, link.places)).format()
    yield f"{_name_of(link.kind)}: {link.message}\n" if link.message else f"{_name_of(link.kind)}\n"
    yield from (f"{note}\n" for note in link.notes)


def _summary(place: Place) -> traceback.FrameSummary:
    code, number, instruction, _names = place
    line, end, column, end_column = next(islice(code.co_positions(), max(instruction, 0) // 2, None))
    return traceback.FrameSummary(
        code.co_filename, number if line is None else line, code.co_name, lookup_line=False,
        end_lineno=end, colno=column, end_colno=end_column,
    )  # fmt: skip


def _name_of(kind: type[BaseException]) -> str:
    module = "" if kind.__module__ in {"__main__", "builtins"} else f"{kind.__module__}."
    return module + kind.__qualname__
