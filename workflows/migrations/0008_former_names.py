from django.db import migrations, models

import ledgerkit.db.indexes


class Migration(migrations.Migration):
    dependencies = [("workflows", "0007_permissions")]

    operations = [
        migrations.AddIndex(
            model_name="definitionchange",
            index=ledgerkit.db.indexes.Index(
                condition=models.Q(("kind", "workflow")),
                fields=["subject_name"],
                name="idx_definition_changes_workflow_name",
            ),
        ),
    ]
