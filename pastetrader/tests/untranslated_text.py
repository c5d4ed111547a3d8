"""Texts of a page that people read: its text nodes, and attributes that are shown or read aloud."""

import re
from html.parser import HTMLParser

TEXT_ATTRIBUTES = {"title", "aria-label", "placeholder", "alt", "data-label"}
DATA = {"script", "style", "pre", "code", "textarea", "ins", "del"}
# Pictures whose words Django does not translate.
DJANGOS = ("admin/img/search.svg", "admin/img/icon-yes.svg", "admin/img/icon-no.svg")


class Spoken(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.quiet: list[str] = []
        self.links: list[str] = []
        self.language = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "html":
            self.language = given.get("lang") or ""
        if tag == "a":
            self.links.append(given.get("href") or "")
        if tag in DATA or given.get("translate") == "no":
            self.quiet.append(tag)
        if not (given.get("src") or "").endswith(DJANGOS):
            self.said += [value for name, value in attrs if name in TEXT_ATTRIBUTES and value]
        if tag == "input" and given.get("type") in {"submit", "button", "reset"}:
            self.said.append(given.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        if self.quiet and self.quiet[-1] == tag:
            self.quiet.pop()

    def handle_data(self, data: str) -> None:
        if not self.quiet and data.strip():
            self.said.append(" ".join(data.split()))


def texts(html: str) -> list[str]:
    return _read(html).said


def links(html: str) -> list[str]:
    return _read(html).links


def language(html: str) -> str:
    return _read(html).language


def latin(said: list[str], known: re.Pattern[str]) -> list[str]:
    """Return the texts that hold a Latin word after what matches `known` is removed."""
    return [text for text in said if re.search("[A-Za-z]{2}", known.sub("", text))]


def _read(html: str) -> Spoken:
    spoken = Spoken()
    spoken.feed(html)
    return spoken
