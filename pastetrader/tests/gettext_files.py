"""A .po file, read as far as its checks need it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

KEYWORD = re.compile(r"(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?) (?=\")")


@dataclass
class Entry:
    """`texts` holds what stands under each keyword: "msgid", "msgstr[0]" and the like."""

    flags: str = ""
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.texts.get("msgctxt", ""), self.texts["msgid"], self.texts.get("msgid_plural", "")

    @property
    def is_plural(self) -> bool:
        return "msgid_plural" in self.texts

    @property
    def originals(self) -> list[str]:
        return [self.texts[name] for name in ("msgid", "msgid_plural") if name in self.texts]

    @property
    def translations(self) -> list[str]:
        return [text for name, text in self.texts.items() if name.startswith("msgstr")]


def entries(po: Path) -> Iterator[Entry]:
    """Return all messages but the header, which has no msgid."""
    for block in po.read_text().split("\n\n"):
        entry = _read(block)
        if entry.texts.get("msgid"):
            yield entry


def _read(block: str) -> Entry:
    entry, name = Entry(), ""
    for line in block.splitlines():
        if line.startswith("#,"):
            entry.flags += line
        elif found := KEYWORD.match(line):
            name = found[1]
            entry.texts[name] = ast.literal_eval(line[found.end() :])
        elif line.startswith('"'):
            entry.texts[name] += ast.literal_eval(line)
    return entry
