from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
CREATE OR REPLACE FUNCTION name_of_node(run uuid, node uuid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN graphs.is_current THEN nodes.name ELSE coalesce((
        SELECT each ->> 'name' FROM jsonb_array_elements(graphs.nodes) AS each WHERE each ->> 'id' = nodes.id::text
    ), nodes.name) END
    FROM nodes
    LEFT JOIN workflow_executions ON workflow_executions.id = run
    LEFT JOIN graphs ON graphs.id = workflow_executions.graph_id
    WHERE nodes.id = node
$$;
"""


class Migration(migrations.Migration):
    """A new node execution gets its name by a statement that is planned once in a session."""

    dependencies = [
        ("executions", "0036_record_facts"),
    ]

    operations = [RunSQLFile(SQL / "names_of_nodes_planned_once.sql", BACK)]
