"""Measures of how the code reads: openings of docstrings, names of functions, comments, sizes.

Source: the measures of `make measure` are those that the project's goals name; tests and migrations are left out.
"""

import ast
import io
import re
import statistics
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pastetrader", "executions", "workflows", "tokens", "ledgerkit", "local_postgres")
LEFT_OUT = {"tests", "migrations"}
# A docstring that opens with one of these is a fragment: its verb, if there is one, comes later or never.
FRAGMENT = re.compile(
    r"(What|Of|Those|For|As|By|Who|Whoever|Whatever|Whose|Where|How|Whether|Which|That|To|In|None|With|Without)\b"
)
PARTICIPLE = re.compile(r"_*[a-z]{2,}(ed|wn|ound|old|aid|ept|ade|uilt|ought)")
LONG = 300  # lines of a module
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Measures:
    docstrings: int = 0
    fragments: list[str] = field(default_factory=list)
    participles: list[str] = field(default_factory=list)
    functions: list[int] = field(default_factory=list)  # lines of each
    modules: list[tuple[int, str]] = field(default_factory=list)  # lines of each, and its path
    comments: int = 0


def measure(root: Path = ROOT) -> Measures:
    """Return the measures of a checkout. Packages that it does not have are passed over."""
    found = Measures()
    for path in _modules(root):
        _measure_module(found, path, path.relative_to(root))
    return found


def _modules(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            if not LEFT_OUT & set(path.relative_to(root).parts):
                yield path


def _measure_module(found: Measures, path: Path, name: Path) -> None:
    source = path.read_text()
    tree = ast.parse(source)
    found.modules.append((len([line for line in source.splitlines() if line.strip()]), str(name)))
    found.comments += _count_comments(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)) and (text := ast.get_docstring(node)):
            found.docstrings += 1
            if FRAGMENT.match(text):
                found.fragments.append(f"{name}:{getattr(node, 'lineno', 1)}: {text.splitlines()[0]}")
        if isinstance(node, FUNCTIONS):
            found.functions.append((node.end_lineno or node.lineno) - node.lineno + 1)
            if PARTICIPLE.fullmatch(node.name):
                found.participles.append(f"{name}:{node.lineno}: {node.name}")


def _count_comments(source: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return len({token.start[0] for token in tokens if token.type == tokenize.COMMENT})


def report(found: Measures) -> str:
    lines = [count for count, _name in found.modules]
    share = 100 * len(found.fragments) / max(1, found.docstrings)
    middle, longest = statistics.median(found.functions), max(found.functions)
    rows = {
        "modules": f"{len(lines)}, {sum(lines):,} lines; median {statistics.median(lines):.0f}",
        "modules of more than 300 lines": f"{sum(count > LONG for count in lines)}",
        "functions": f"{len(found.functions)}; median {middle:.0f} lines, longest {longest}",
        "docstrings": f"{found.docstrings}; {len(found.fragments)} open with a fragment ({share:.1f} %)",
        "functions named by a participle": f"{len(found.participles)}",
        "lines with a comment": f"{100 * found.comments / max(1, sum(lines)):.1f} of 100",
    }
    return "\n".join(f"{name:32}{value}" for name, value in rows.items())
