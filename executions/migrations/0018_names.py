"""Names in Unicode NFC, without control and bidirectional formatting characters: existing ones are changed."""

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation

from ledgerkit.db import names


class Migration(migrations.Migration):
    dependencies: ClassVar = [("executions", "0017_guards")]

    operations: ClassVar[list[Operation]] = [
        migrations.RunSQL(
            names.cleaning_sql("saved_views", "name", "unnamed", "owner_id", most=93), migrations.RunSQL.noop
        ),
        migrations.AddConstraint("savedview", names.constraint("name", "saved_view_name_clean")),
    ]
