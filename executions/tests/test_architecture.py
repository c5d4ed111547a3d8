"""The house: who may import whom, read off the syntax trees, indented imports included."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("local_postgres", "ledgerkit", "workflows", "tokens", "executions", "pastetrader")

# Each line may import from the lines above it only; what stands on one line may import each other.
LADDER = [
    ["string_search", "text_decoding"],
    ["secret_forms", "secret_shapes"],
    ["secret_patterns"],
    [
        "conf",
        "states",
        "exceptions",
        "refusal_reasons",
        "report_texts",
        "error_excerpts",
        "secrets",
        "validators",
        "sort_keys",
        "run_graph",
        "audit",
    ],
    ["failure_causes", "body_masking", "secret_limits", "encryption"],
    ["partitions", "masking", "log_messages"],
    ["querysets"],
    ["models.base", "models.log", "models.history", "models.saved_view"],
    ["retry", "allowed_actions"],
    ["models"],
    ["ingest", "live"],
    [
        "admin",
        "management",
        "templatetags",
        "api.errors",
        "api.filters",
        "api.fast_serializers",
        "api.log_redaction",
        "api.serializers",
        "api.idempotent_create",
    ],
    ["api.views"],
    ["api.schema"],
    ["api.urls"],
    ["apps", "middleware"],
]
RANK = {f"executions.{name}": rank for rank, names in enumerate(LADDER) for name in names}
RAW_SQL = {
    "ledgerkit/db",
    "workflows/plans.py",
    "tokens/models.py",
    "local_postgres",
    "executions/partitions.py",
    "executions/ingest.py",
    "executions/retry.py",
    "executions/live/reader.py",
    "executions/live/rights.py",
    "executions/live/listener.py",
    "pastetrader/management/commands/migrate.py",
}


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if not {"tests", "migrations"} & set(path.parts):
                yield path.relative_to(ROOT)


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> Iterator[str]:
    package = list(path.parent.parts)
    tree = ast.parse((ROOT / path).read_text())
    for_types = {child for node in ast.walk(tree) if _is_for_types(node) for child in ast.walk(node)}
    for node in set(ast.walk(tree)) - for_types:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def rank(name: str) -> int | None:
    return next((RANK[known] for known in RANK if name == known or name.startswith(f"{known}.")), None)


MODULES = list(modules())


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_imports_only_from_below(path: Path) -> None:
    here = rank(dotted(path))
    for name in imported(path):
        there = rank(name)
        if here is not None and there is not None:
            assert there <= here, f"{path} imports {name}"
        if path.parts[0] in {"workflows", "tokens"}:
            assert not name.startswith(("executions", "pastetrader.demo")), f"{path} imports {name}"
        if path.parts[0] == "tokens":
            assert not name.startswith("workflows"), f"{path} imports {name}"
        if name.startswith("rest_framework"):
            of_rest = {"api", "rest", "authentication", "permissions", "throttling"}
            assert of_rest & set(path.with_suffix("").parts), f"{path} imports {name}"
        below = PACKAGES.index(path.parts[0])
        if path.parts[0] in {"local_postgres", "ledgerkit"}:
            assert not name.startswith(PACKAGES[below + 1 :]), f"{path} imports {name}"
        if path.parts[0] not in {"local_postgres", "pastetrader"}:
            assert not name.startswith("local_postgres"), f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_raw_sql_is_spoken_in_few_rooms(path: Path) -> None:
    spoken = {
        node.attr
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"cursor", "RunSQL", "raw", "RawSQL", "extra"}
    }
    assert not spoken or any(str(path).startswith(room) for room in RAW_SQL)


def test_every_module_of_the_ledger_has_its_place_on_the_ladder() -> None:
    ledger = [dotted(path) for path in MODULES if path.parts[0] == "executions"]
    assert [name for name in ledger if rank(name) is None and name not in {"executions", "executions.api"}] == []


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_stays_under_500_lines(path: Path) -> None:
    assert len((ROOT / path).read_text().splitlines()) < 500
