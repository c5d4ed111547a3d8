from django.db import migrations, models

VERBS = ["cancel", "retry", "rerun", "fail", "keep", "release", "delete"]


class Migration(migrations.Migration):
    """Runs may be run again in bulk. The table is small: the constraint is checked at once."""

    dependencies = [
        ("executions", "0057_activity_indexes"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="bulkaction", name="bulk_action_verb_known"),
        migrations.AlterField(
            model_name="bulkaction",
            name="verb",
            field=models.CharField(
                choices=[
                    ("cancel", "Cancel"),
                    ("retry", "Retry"),
                    ("rerun", "Run again"),
                    ("fail", "Mark as failed"),
                    ("keep", "Keep"),
                    ("release", "Do not keep any longer"),
                    ("delete", "Delete"),
                ],
                max_length=20,
                verbose_name="action",
            ),
        ),
        migrations.AddConstraint(
            model_name="bulkaction",
            constraint=models.CheckConstraint(condition=models.Q(verb__in=VERBS), name="bulk_action_verb_known"),
        ),
    ]
