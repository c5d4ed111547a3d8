from django.db import migrations, models

import ledgerkit.db.models
from ledgerkit.db.online_operations import AddIndexOnline, InTransaction, UpdateInBatches, has_column

MOVE = """
UPDATE workflow_executions SET encrypted_secrets = coalesce(sealed, '')
FROM execution_secrets WHERE workflow_executions.id = workflow_execution_id
AND encrypted_secrets IS DISTINCT FROM coalesce(sealed, '')
"""
SECRETS = "execution_secrets WHERE workflow_execution_id = workflow_executions.id"
IS_MOVED = "to_regclass('execution_secrets') IS NULL"
MOVE_BACK = """
INSERT INTO execution_secrets (workflow_execution_id, sealed)
SELECT id, nullif(encrypted_secrets, '') FROM workflow_executions WHERE encrypted_secrets IS NOT NULL
"""


class Migration(migrations.Migration):
    """Move the encrypted secrets of a run to its own row. Adding the column rewrites nothing; the runs that have, or
    had, secrets are updated once."""

    atomic = False

    dependencies = [
        ("executions", "0020_workflow_names"),
    ]

    operations = [
        InTransaction(
            [
                migrations.AddField(
                    model_name="workflowexecution",
                    name="encrypted_secrets",
                    field=models.TextField(editable=False, null=True, verbose_name="encrypted secrets"),
                ),
            ],
            tables=["workflow_executions"],
            done=has_column("workflow_executions", "encrypted_secrets"),
        ),
        UpdateInBatches(
            "workflow_executions",
            f"encrypted_secrets = (SELECT coalesce(sealed, '') FROM {SECRETS})",  # noqa: S608  # constants
            where=f"encrypted_secrets IS NULL AND EXISTS (SELECT FROM {SECRETS})",
            done=IS_MOVED,
        ),
        InTransaction(
            [
                migrations.RunSQL(MOVE, MOVE_BACK),
                migrations.DeleteModel(name="ExecutionSecrets"),
            ],
            tables=["workflow_executions", "execution_secrets"],
            done=IS_MOVED,
        ),
        AddIndexOnline(
            model_name="workflowexecution",
            index=ledgerkit.db.indexes.Index(
                condition=models.Q(("encrypted_secrets__gt", "")),
                fields=["ended_at"],
                name="idx_execution_secrets_kept",
            ),
        ),
    ]
