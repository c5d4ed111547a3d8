from pathlib import Path

from django.db import migrations

from ledgerkit.db.online_operations import LockTables
from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
TRIGGERS = (
    "edges_acyclic", "graph_changed", "node_retired", "edge_in_graph", "remember_graph", "execution_logs_immutable",
    "failed_nodes_of_run", "failed_nodes_of_node",
)  # fmt: skip
BACK = """
DROP FUNCTION
    ledger_invoker(), ledger_note(), ledger_emptied(), ledger_noted(timestamptz, text),
    write_history(uuid, uuid, integer, text, text), history_of_workflow_execution(), history_of_node_execution(),
    history_append_only(), write_deletion(), deletions_append_only()
CASCADE;
DROP POLICY history_read ON execution_history;
DROP POLICY history_changed ON execution_history;
DROP POLICY history_deleted ON execution_history;
ALTER TABLE execution_history DISABLE ROW LEVEL SECURITY;
DROP POLICY deletions_read ON execution_deletions;
DROP POLICY deletions_changed ON execution_deletions;
DROP POLICY deletions_deleted ON execution_deletions;
ALTER TABLE execution_deletions DISABLE ROW LEVEL SECURITY;
GRANT EXECUTE ON FUNCTION graph_of(uuid), count_failed_nodes(uuid), tell_of_rows(), tell_of_move(), tell_of_deletion() TO PUBLIC;
"""


def _back() -> str:
    """Restore the functions as the migrations before this one created them."""
    open_again = [
        f"ALTER FUNCTION {name}() SECURITY INVOKER RESET search_path; GRANT EXECUTE ON FUNCTION {name}() TO PUBLIC;"
        for name in TRIGGERS
    ]
    files = [(SQL / name).read_text() for name in ("history.sql", "deletions.sql")]
    return "\n".join([BACK, *open_again, *files])


class Migration(migrations.Migration):
    """Keep roles with few rights from forging or shortening the history."""

    dependencies = [
        ("executions", "0016_failed_nodes"),
        ("workflows", "0003_acyclic_in_linear_time"),
    ]

    operations = [
        LockTables("workflow_executions", "execution_history", "execution_deletions"),
        RunSQLFile(SQL / "guards.sql", _back()),
    ]
