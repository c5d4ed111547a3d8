"""Measures of the code's readability: openings of docstrings, names of functions, comments, sizes, types, private API.

Covers the PACKAGES without tests and migrations; the language of tests and of the TOOLS is measured by itself. `Any` is
counted as a token of the source, except in imports. benches.private_api explains how private API is counted.
"""

import ast
import io
import re
import statistics
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from benches.private_api import SERVERS, find_private_uses

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "pastetrader", "alerts", "executions", "workflows", "tokens", "ledgerkit", "local_postgres", "pastetrader_client",
)  # fmt: skip
LEFT_OUT = {"tests", "migrations"}
PACKAGES_OF_TESTS = ("browser",)  # beside the folders `tests`
TOOLS = ("benches", "faults", "fuzz")
# A docstring that begins with one of these words is a fragment without a verb, or with a late one.
FRAGMENT = re.compile(
    r"(What|Of|Those|For|As|By|Who|Whoever|Whatever|Whose|Where|How|Whether|Which|That|To|In|None|With|Without)\b"
)
# The same of a description that clients of the API read. "Whether" and "With" are usual there.
SCHEMA_FRAGMENT = re.compile(
    r"(What|Of|Those|If|Its|They|As|By|Who|Whoever|Whatever|Whose|When|Where|How|Why|Which|That|For|To|In|None|Without|All)\b"
)
PARTICIPLE = re.compile(r"_*[a-z]{2,}(ed|wn|ound|old|aid|ept|ade|uilt|ought)")
# Verbs of talk and pronouns: they do not say what a name holds or what a function does.
VAGUE = frozenset({"told", "asked", "said", "tell", "say", "became", "whoever"})
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
LONG = 300  # lines of a module
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Measures:
    docstrings: int = 0
    fragments: list[str] = field(default_factory=list)
    participles: list[str] = field(default_factory=list)
    vague_words: list[str] = field(default_factory=list)
    functions: list[int] = field(default_factory=list)  # lines of each
    modules: list[int] = field(default_factory=list)  # non-empty lines of each
    long_modules: list[str] = field(default_factory=list)  # more than LONG lines, including empty ones
    comments: int = 0
    anys: list[str] = field(default_factory=list)
    private_uses: list[str] = field(default_factory=list)
    private_uses_of_servers: list[str] = field(default_factory=list)


def measure(root: Path = ROOT) -> Measures:
    """Return the measures of a checkout. Packages that it does not have are passed over."""
    found, trees = Measures(), {}
    for path in _modules(root):
        name = str(path.relative_to(root))
        trees[name] = _measure_module(found, name, path.read_text())
    found.private_uses = find_private_uses(trees)
    server_uses = find_private_uses(trees, SERVERS)
    found.private_uses_of_servers = [use for use in server_uses if use not in found.private_uses]
    return found


def measure_text(root: Path = ROOT) -> Measures:
    """Return the measures of a checkout without those of private API, for which the libraries are read."""
    found = Measures()
    for path in _modules(root):
        _measure_module(found, str(path.relative_to(root)), path.read_text())
    return found


def measure_tests(root: Path = ROOT) -> Measures:
    """Return the measures of a checkout's tests, without those of private API."""
    found = Measures()
    for path in _modules_of_tests(root):
        _measure_module(found, str(path.relative_to(root)), path.read_text())
    return found


def measure_tools(root: Path = ROOT) -> Measures:
    """Return the measures of a checkout's benchmarks and of its programs that break or fuzz it, without private API."""
    found = Measures()
    for package in TOOLS:
        for path in sorted((root / package).rglob("*.py")):
            _measure_module(found, str(path.relative_to(root)), path.read_text())
    return found


def fragments_of_schema(root: Path = ROOT) -> list[str]:
    """Return the summaries and descriptions in schema.yaml that begin with a word of SCHEMA_FRAGMENT."""
    texts = _texts(yaml.safe_load((root / "schema.yaml").read_text()))
    return sorted({text for text in texts if SCHEMA_FRAGMENT.match(text)})


def _texts(part: object) -> Iterator[str]:
    if isinstance(part, list):
        for each in part:
            yield from _texts(each)
    if isinstance(part, dict):
        for name, value in part.items():
            if name in {"summary", "description"} and isinstance(value, str):
                yield value
            elif name not in {"example", "examples"}:
                yield from _texts(value)


def _modules_of_tests(root: Path) -> Iterator[Path]:
    for package in (*PACKAGES, *PACKAGES_OF_TESTS):
        for path in sorted((root / package).rglob("*.py")):
            if package in PACKAGES_OF_TESTS or "tests" in path.relative_to(root).parts:
                yield path


def _modules(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            if not LEFT_OUT & set(path.relative_to(root).parts):
                yield path


def _measure_module(found: Measures, name: str, source: str) -> ast.Module:
    tree = ast.parse(source)
    lines = source.splitlines()
    found.modules.append(sum(bool(line.strip()) for line in lines))
    if len(lines) > LONG:
        found.long_modules.append(f"{name}: {len(lines)} lines")
    _measure_tokens(found, name, source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)) and (text := ast.get_docstring(node)):
            found.docstrings += 1
            place = f"{name}:{getattr(node, 'lineno', 1)}"
            if FRAGMENT.match(text):
                found.fragments.append(f"{place}: {text.splitlines()[0]}")
            if words := VAGUE.intersection(text.lower().split()):
                found.vague_words.append(f"{place}: a docstring with {', '.join(sorted(words))}")
        if isinstance(node, FUNCTIONS):
            found.functions.append((node.end_lineno or node.lineno) - node.lineno + 1)
            if PARTICIPLE.fullmatch(node.name):
                found.participles.append(f"{name}:{node.lineno}: {node.name}")
    return tree


def _measure_tokens(found: Measures, name: str, source: str) -> None:
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    found.comments += len({token.start[0] for token in tokens if token.type == tokenize.COMMENT})
    named = [token for token in tokens if token.type == tokenize.NAME and token.string == "Any"]
    found.anys += [f"{name}:{token.start[0]}: Any" for token in named if "import " not in token.line]
    vague = {token.string: token.start[0] for token in reversed(tokens) if _is_vague(token)}
    found.vague_words += [f"{name}:{line}: {identifier}" for identifier, line in vague.items()]


def _is_vague(token: tokenize.TokenInfo) -> bool:
    return token.type == tokenize.NAME and any(word.lower() in VAGUE for word in WORD.findall(token.string))


def report(found: Measures, of_tests: Measures, of_tools: Measures) -> str:
    lines = found.modules
    middle, longest = statistics.median(found.functions), max(found.functions)
    rows = {
        "modules": f"{len(lines)}, {sum(lines):,} lines; median {statistics.median(lines):.0f}",
        f"modules of more than {LONG} lines": f"{len(found.long_modules)}",
        "functions": f"{len(found.functions)}; median {middle:.0f} lines, longest {longest}",
        "docstrings": _fragments(found),
        "docstrings of tests": _fragments(of_tests),
        "docstrings of tools": _fragments(of_tools),
        "functions named by a participle": _counts(found.participles, of_tests.participles, of_tools.participles),
        "vague names and docstrings": _counts(found.vague_words, of_tests.vague_words, of_tools.vague_words),
        "lines with a comment": f"{100 * found.comments / max(1, sum(lines)):.1f} of 100",
        "uses of Any": f"{len(found.anys):,}",
        "uses of private API": f"{len(found.private_uses)}, and {len(found.private_uses_of_servers)} of uvicorn's",
    }
    return "\n".join(f"{name:32}{value}" for name, value in rows.items())


def _counts(ours: list[str], of_tests: list[str], of_tools: list[str]) -> str:
    return f"{len(ours)}, {len(of_tests)} of tests and {len(of_tools)} of tools"


def _fragments(found: Measures) -> str:
    share = 100 * len(found.fragments) / max(1, found.docstrings)
    return f"{found.docstrings}; {len(found.fragments)} open with a fragment ({share:.1f} %)"
