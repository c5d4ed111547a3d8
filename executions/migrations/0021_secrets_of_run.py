from django.db import migrations, models

import ledgerkit.db.models

MOVE = """
UPDATE workflow_executions SET encrypted_secrets = coalesce(sealed, '')
FROM execution_secrets WHERE workflow_executions.id = workflow_execution_id
"""
MOVE_BACK = """
INSERT INTO execution_secrets (workflow_execution_id, sealed)
SELECT id, nullif(encrypted_secrets, '') FROM workflow_executions WHERE encrypted_secrets IS NOT NULL
"""


class Migration(migrations.Migration):
    """The encrypted secrets of a run stand in its own row. Adding the column rewrites nothing; the runs that have, or
    had, secrets are updated once."""

    dependencies = [
        ("executions", "0020_workflow_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="workflowexecution",
            name="encrypted_secrets",
            field=models.TextField(editable=False, null=True, verbose_name="encrypted secrets"),
        ),
        migrations.RunSQL(MOVE, MOVE_BACK),
        migrations.DeleteModel(name="ExecutionSecrets"),
        migrations.AddIndex(
            model_name="workflowexecution",
            index=ledgerkit.db.indexes.Index(
                condition=models.Q(("encrypted_secrets__gt", "")),
                fields=["ended_at"],
                name="idx_execution_secrets_kept",
            ),
        ),
    ]
