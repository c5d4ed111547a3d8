"""Search for many strings in a text at once, in time linear in the text (Aho-Corasick). No database access."""

from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property

type Span = tuple[int, int]

FEW = 100  # up to so many strings, `in` for each is faster than one pass in Python
SMALL = 2_000_000  # up to this number of characters times strings, str.find is used for each
ROOT = 0
BITS = 21  # bits of a code point


class Matcher:
    """Finds every occurrence of `needles`, also overlapping ones."""

    def __init__(self, needles: Iterable[str]) -> None:
        self.needles = sorted(set(needles), key=len)
        self._is_few = len(self.needles) <= FEW
        self.roots = _roots(self.needles) if self._is_few else []

    def is_in(self, text: str) -> bool:
        if not self._is_few:
            return next(self._automaton.spans(text), None) is not None
        for needle in self.roots:  # noqa: SIM110  # any() takes twice as long
            if needle in text:
                return True
        return False

    def spans(self, text: str) -> Iterator[Span]:
        """Yield spans whose union covers every occurrence."""
        if not self._is_few:
            return self._automaton.spans(text)
        found = [needle for needle in self.needles if needle in text]
        if len(found) * len(text) <= SMALL:
            return _each(text, found)
        return Automaton(found).spans(text)

    @cached_property
    def _automaton(self) -> "Automaton":
        return Automaton(self.needles)


def _roots(needles: list[str]) -> list[str]:
    """Return the strings, which are sorted by length, that contain none of the others."""
    roots: list[str] = []
    for needle in needles:
        if not any(shorter in needle for shorter in roots):
            roots.append(needle)
    return roots


def _each(text: str, needles: list[str]) -> Iterator[Span]:
    for needle in needles:
        at = text.find(needle)
        while at >= 0:
            yield at, at + len(needle)
            at = text.find(needle, at + 1)


class Automaton:
    """The Aho-Corasick automaton: one step per character, however many needles there are.

    The transitions of all states are in one dict, keyed by state and character. One dict per state takes three times
    the memory.
    """

    def __init__(self, needles: Iterable[str]) -> None:
        self.moves: dict[int, int] = {}
        self.longest = [0]  # length of the longest needle that ends in a state
        children = [""]  # characters with a transition, by state
        for needle in needles:
            self._add(needle, children)
        self.fallback = [ROOT] * len(self.longest)
        self._link(children)

    def _add(self, needle: str, children: list[str]) -> None:
        state = ROOT
        for char in needle:
            move = state << BITS | ord(char)
            if (after := self.moves.get(move)) is None:
                after = self.moves[move] = len(self.longest)
                self.longest.append(0)
                children[state] += char
                children.append("")
            state = after
        self.longest[state] = len(needle)

    def _link(self, children: list[str]) -> None:
        """Link each state to the state of the longest proper suffix that is a prefix of a string too."""
        waiting = deque([ROOT])
        while waiting:
            state = waiting.popleft()
            for char in children[state]:
                after = self.moves[state << BITS | ord(char)]
                waiting.append(after)
                if state != ROOT:
                    self.fallback[after] = self._after(self.fallback[state], char)
                self.longest[after] = self.longest[after] or self.longest[self.fallback[after]]

    def _after(self, state: int, char: str) -> int:
        while (after := self.moves.get(state << BITS | ord(char))) is None:
            if state == ROOT:
                return ROOT
            state = self.fallback[state]
        return after

    def spans(self, text: str) -> Iterator[Span]:
        """Yield the longest occurrence that ends at each position."""
        moves, fallback, longest, state = self.moves, self.fallback, self.longest, ROOT
        for at, char in enumerate(text, 1):
            code = ord(char)
            while (after := moves.get(state << BITS | code)) is None and state != ROOT:
                state = fallback[state]
            state = after or ROOT
            if longest[state]:
                yield at - longest[state], at
