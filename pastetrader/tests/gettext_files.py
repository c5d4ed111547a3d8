"""A .po file, read as far as its checks need it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

KEYWORD = re.compile(r"(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?) (?=\")")


@dataclass
class Entry:
    """`said` holds what stands under each keyword: "msgid", "msgstr[0]" and the like."""

    flags: str = ""
    said: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.said.get("msgctxt", ""), self.said["msgid"], self.said.get("msgid_plural", "")

    @property
    def is_plural(self) -> bool:
        return "msgid_plural" in self.said

    @property
    def originals(self) -> list[str]:
        return [self.said[name] for name in ("msgid", "msgid_plural") if name in self.said]

    @property
    def translations(self) -> list[str]:
        return [text for name, text in self.said.items() if name.startswith("msgstr")]


def entries(po: Path) -> Iterator[Entry]:
    """Return all messages but the header, which has no msgid."""
    for block in po.read_text().split("\n\n"):
        entry = _read(block)
        if entry.said.get("msgid"):
            yield entry


def _read(block: str) -> Entry:
    entry, name = Entry(), ""
    for line in block.splitlines():
        if line.startswith("#,"):
            entry.flags += line
        elif found := KEYWORD.match(line):
            name = found[1]
            entry.said[name] = ast.literal_eval(line[found.end() :])
        elif line.startswith('"'):
            entry.said[name] += ast.literal_eval(line)
    return entry
