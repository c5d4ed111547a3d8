import django.contrib.postgres.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """A scope for those who import old runs."""

    dependencies = [
        ("tokens", "0008_idempotency_keys_move"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="token",
            name="token_scopes_known",
        ),
        migrations.AlterField(
            model_name="token",
            name="scopes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("executions:read", "read executions"),
                        ("executions:report", "report executions"),
                        ("executions:control", "control executions"),
                        ("executions:import", "import old executions"),
                        ("workflows:write", "write workflows"),
                    ],
                    max_length=50,
                ),
                verbose_name="scopes",
            ),
        ),
        migrations.AddConstraint(
            model_name="token",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "scopes__contained_by",
                        [
                            "executions:read",
                            "executions:report",
                            "executions:control",
                            "executions:import",
                            "workflows:write",
                        ],
                    )
                ),
                name="token_scopes_known",
            ),
        ),
    ]
