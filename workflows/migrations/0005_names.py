"""Names in Unicode NFC, without control and bidirectional formatting characters: existing ones are changed."""

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation

from ledgerkit.db import names


class Migration(migrations.Migration):
    dependencies: ClassVar = [("workflows", "0004_edges_acyclic_guard")]

    operations: ClassVar[list[Operation]] = [
        migrations.RunSQL(names.cleaning_sql("workflows", "name", "unnamed"), migrations.RunSQL.noop),
        migrations.RunSQL(
            names.cleaning_sql("nodes", "name", "unnamed", "workflow_id", "retired_at"), migrations.RunSQL.noop
        ),
        migrations.RunSQL(names.cleaning_sql("edges", "label", ""), migrations.RunSQL.noop),
        migrations.AddConstraint("workflow", names.constraint("name", "workflow_name_clean")),
        migrations.AddConstraint("node", names.constraint("name", "node_name_clean")),
        migrations.AddConstraint("edge", names.constraint("label", "edge_label_clean")),
    ]
