"""Rules that import-linter (pyproject.toml) does not check."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("local_postgres", "ledgerkit", "tokens", "workflows", "executions", "alerts", "pastetrader")
MAX_LINES = 500
RAW_SQL = {"cursor", "RunSQL", "raw", "RawSQL", "extra"}
WITH_RAW_SQL = (
    "alerts/ended_attempts.py",
    "ledgerkit/db",
    "workflows/query_plans.py",
    "tokens/models.py",
    "local_postgres",
    "executions/archive",
    "executions/attention.py",
    "executions/partitions.py",
    "executions/queue.py",
    "executions/log_gaps.py",
    "executions/log_preparation.py",
    "executions/ingest.py",
    "executions/retry.py",
    "executions/rollups.py",
    "executions/live/reader.py",
    "executions/error_groups/",
    "executions/facts/workflow_definitions.py",
    "executions/facts/attempt_leases.py",
    "executions/facts/row_reading.py",
    "executions/facts/row_storage.py",
    "executions/facts/run_queues.py",
    "executions/live/access_changes.py",
    "executions/live/listener.py",
    "pastetrader/management/commands/migrate.py",
    "executions/dropped_log_lines.py",
    "executions/ledger_checks/",
    "executions/upkeep/",
    "pastetrader/management/commands/serve.py",
)
OF_THE_API = {"api", "rest", "authentication", "permissions", "throttling", "views", "base_views"}


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if not {"tests", "migrations"} & set(path.parts):
                yield path.relative_to(ROOT)


def find_imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


MODULES = {path: (ROOT / path).read_text() for path in modules()}
TREES = {path: ast.parse(source) for path, source in MODULES.items()}


def test_rest_framework_is_imported_by_the_api_alone() -> None:
    others = [(path, tree) for path, tree in TREES.items() if not OF_THE_API & set(path.with_suffix("").parts)]
    imports = [(path, name) for path, tree in others for name in find_imports(tree)]
    assert [path for path, name in imports if name.startswith("rest_framework")] == []


def test_few_modules_contain_raw_sql() -> None:
    others = {path: tree for path, tree in TREES.items() if not str(path).startswith(WITH_RAW_SQL)}
    nodes = [(path, node) for path, tree in others.items() for node in ast.walk(tree)]
    assert [path for path, node in nodes if isinstance(node, ast.Attribute) and node.attr in RAW_SQL] == []


def test_modules_stay_under_500_lines() -> None:
    assert [path for path, source in MODULES.items() if len(source.splitlines()) >= MAX_LINES] == []


LADDER = ("ledgerkit", "tokens", "workflows", "executions", "alerts")  # each may use what belongs to those before it
TEMPLATES = [(app, path) for app in LADDER for path in sorted((ROOT / app / "templates").rglob("*.html"))]
USED = re.compile(r'{% (?:include|extends|static) "([^"]+)"|{% load ([\w ]+) %}')


def owners() -> dict[str, str]:
    """Return the app that each template, static file and library of template tags belongs to, by its name."""
    folders = [(app, ROOT / app / kind) for app in LADDER for kind in ("templates", "static", "templatetags")]
    files = [(app, path.relative_to(folder)) for app, folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path.with_suffix("") if path.suffix == ".py" else path): app for app, path in files}


def test_a_template_uses_templates_static_files_and_tags_of_its_app_and_of_lower_ones_alone() -> None:
    belongs_to = owners()
    used = [
        (app, path, name)
        for app, path in TEMPLATES
        for found in USED.findall(path.read_text())
        for name in " ".join(found).split()
    ]
    assert len(used) > len(TEMPLATES)
    assert [
        (str(path.relative_to(ROOT)), name)
        for app, path, name in used
        if LADDER.index(belongs_to.get(name, app)) > LADDER.index(app)
    ] == []
