"""Find secrets in a text without a key before them: tokens of a known format, private keys, passwords in command
options. No database access.

Each pattern consumes a bounded number of characters, or characters that no later match reads again: one pass.
"""

import re
from collections.abc import Iterator

from .string_search import Span

# Every text with a command option handled here contains one of them, in lower case.
COMMANDS = ("curl", "mysql", "mariadb", "redis-cli", "sshpass", "docker login", "podman login", "oc login")
# Every text with a token contains one of them.
STARTS = (
    "ptl_", "eyJ", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "k_live_", "k_test_", "AKIA",
    "ASIA", "AIza", "npm_", "pypi-",
)  # fmt: skip
TOKENS = re.compile(
    r"(?<![A-Za-z0-9])(?:ptl_[\w-]{20,}+|gh[oprsu]_[A-Za-z0-9]{20,}+|github_pat_\w{20,}+|glpat-[\w.-]{20,}+"
    r"|xox[a-z]-[\w-]{10,}+|[rs]k_(?:live|test)_[A-Za-z0-9]{10,}+|A(?:KIA|SIA)[A-Z0-9]{16}(?![A-Za-z0-9])|AIza[\w-]{35}"
    r"|npm_[A-Za-z0-9]{36}|pypi-[\w-]{20,}+|(?<!-)eyJ[\w-]{8,}+\.eyJ[\w-]{8,}+\.[\w-]+)"
)
PEM = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
PEM_END = re.compile(r"-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
VALUE = re.compile(r"\\{0,16}+(?:\"(?P<double>[^\"\\\r\n]++)|'(?P<single>[^'\\\r\n]++)|(?P<bare>[^\s\"'|;&<>\\]++))")
WORDS = re.compile(
    r"(?<![\w-])(?:(?P<command>curl|sshpass|mysql\w{0,9}|mariadb[\w-]{0,9}|redis-cli|(?:docker|podman|oc) login)"
    r"(?![\w-])"
    r"|(?P<option>--(?:proxy-)?user\b|-[upaU])(?P<space>[ =]{0,4}+))|(?P<end>[\r\n])"
)
TAKES = {"curl": ("-u", "-U", "--user", "--proxy-user"), "sshpass": ("-p",), "redis-cli": ("-a",)}
GLUED = ("mysql", "mariadb")  # their `-p` takes a password only without a space; after a space follows a database


def spans(text: str) -> Iterator[Span]:
    for match in TOKENS.finditer(text):
        yield match.span()
    if "PRIVATE KEY-----" in text or "PRIVATE KEY BLOCK-----" in text:
        yield from _private_keys(text)
    if "-" in text:
        yield from _of_commands(text)


def _private_keys(text: str) -> Iterator[Span]:
    """Yield the span of each key, from its first line to its last, or to the end of the text if it was cut."""
    at = 0
    while begin := PEM.search(text, at):
        end = PEM_END.search(text, begin.end())
        at = end.end() if end else len(text)
        yield begin.start(), at


def _of_commands(text: str) -> Iterator[Span]:
    command, at = "", 0
    while word := WORDS.search(text, at):
        at = word.end()
        if word["command"] or word["end"]:
            command = word["command"] or ""
        elif _takes(command, word) and (value := VALUE.match(text, at)):
            start, at = value.span(value.lastgroup or 0)
            if command == "curl":  # the value is `user:password`
                start = text.find(":", start, at) + 1
            if 0 < start < at:
                yield start, at


def _takes(command: str, word: "re.Match[str]") -> bool:
    option = word["option"]
    if command.startswith(GLUED):
        return option == "-p" and not word["space"]
    return option in TAKES.get(command, ("-p",) if command else ())
