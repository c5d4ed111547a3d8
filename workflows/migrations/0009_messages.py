from django.db import migrations

from ledgerkit.db.operations import ChangeMessage


class Migration(migrations.Migration):
    """The errors of the database's functions in plain words."""

    dependencies = [
        ("workflows", "0008_former_names"),
    ]

    operations = [
        ChangeMessage(
            "edges_acyclic()",
            "The edges close a circle through node %. Remove one of them.",
            "The edges form a cycle through node %: remove one of them.",
        ),
        ChangeMessage(
            "edge_in_graph()",
            "A retired node has no edges. Choose a node of the graph, or bring this one back first.",
            "A retired node cannot have edges: choose a node of the graph, or restore this one first.",
        ),
        ChangeMessage(
            "definition_changes_append_only()",
            "What was changed of definitions and tokens stays written down: it cannot be changed.",
            "The history of definitions and tokens cannot be changed.",
        ),
        ChangeMessage(
            "definition_changes_emptied()",
            "What was changed of definitions and tokens stays written down: it cannot be truncated.",
            "The history of definitions and tokens cannot be truncated.",
        ),
    ]
