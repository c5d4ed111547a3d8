from typing import Any

import django.db.models.functions.datetime
from django.db import migrations, models

import ledgerkit.db.models


def delete_old_permissions(apps: Any, schema_editor: Any) -> None:
    """Delete the content type that the model had as one of tokens, and its permissions, which nothing checks."""
    types = apps.get_model("contenttypes", "ContentType").objects.using(schema_editor.connection.alias)
    types.filter(app_label="tokens", model="idempotencykey").delete()


class Migration(migrations.Migration):
    """Take the table of idempotency keys over from tokens, whose migrations made it. No row is touched."""

    initial = True

    dependencies = [
        ("auth", "0001_initial"),  # so that permissions are deleted with their content type
        ("contenttypes", "0002_remove_content_type_name"),
        ("tokens", "0008_idempotency_keys_move"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="IdempotencyKey",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                db_default=ledgerkit.db.models.DatabaseUUID7(),
                                default=ledgerkit.db.models.uuid7,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                                verbose_name="id",
                            ),
                        ),
                        ("caller", models.CharField(max_length=50)),
                        ("key", models.CharField(max_length=255)),
                        ("request_hash", models.CharField(max_length=64)),
                        ("status", models.PositiveSmallIntegerField()),
                        ("headers", models.JSONField(default=dict)),
                        ("body", models.TextField(blank=True)),
                        ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    ],
                    options={
                        "db_table": "idempotency_keys",
                        "verbose_name": "idempotency key",
                        "verbose_name_plural": "idempotency keys",
                        "default_permissions": (),
                        "indexes": [models.Index(fields=["created_at"], name="idx_idempotency_keys_created")],
                        "constraints": [
                            models.UniqueConstraint(fields=("caller", "key"), name="idempotency_key_of_caller")
                        ],
                    },
                ),
            ]
        ),
        migrations.RunPython(delete_old_permissions, migrations.RunPython.noop),
    ]
