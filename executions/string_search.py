"""Search for many strings in a text at once, in time linear in the text (Aho-Corasick). Pure."""

from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property

type Span = tuple[int, int]

FEW = 100  # strings up to which `in` for each is faster than one walk in Python
SMALL = 2_000_000  # characters times strings up to which str.find for each is used
ROOT = 0
BITS = 21  # of a code point


class Matcher:
    """Finds every occurrence of `needles`, those that overlap included."""

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
        """Places whose union covers every occurrence."""
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
    """Return those of the strings, given by length, that contain none of the others."""
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
    """Aho and Corasick's: one step for each character, however many needles there are.

    The moves of all states stand in one dict, by state and character: a dict for each state would take thrice the room.
    """

    def __init__(self, needles: Iterable[str]) -> None:
        self.moves: dict[int, int] = {}
        self.longest = [0]  # of the needles that end in a state
        children = [""]  # the characters that lead on from a state
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
        """The longest occurrence that ends at each place."""
        moves, fallback, longest, state = self.moves, self.fallback, self.longest, ROOT
        for at, char in enumerate(text, 1):
            code = ord(char)
            while (after := moves.get(state << BITS | code)) is None and state != ROOT:
                state = fallback[state]
            state = after or ROOT
            if longest[state]:
                yield at - longest[state], at
