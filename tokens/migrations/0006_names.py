"""Names in Unicode NFC, without control and bidirectional formatting characters: existing ones are changed."""

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation

from ledgerkit.db import names


class Migration(migrations.Migration):
    dependencies: ClassVar = [("tokens", "0005_token_used_guard")]

    operations: ClassVar[list[Operation]] = [
        migrations.RunSQL(names.cleaning_sql("tokens", "name", "unnamed"), migrations.RunSQL.noop),
        migrations.AddConstraint("token", names.constraint("name", "token_name_clean")),
    ]
