import django.contrib.postgres.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Rules may be about groups of errors. Their table is small: the constraint is checked at once."""

    dependencies = [
        ("alerts", "0003_delivery_queued_at"),
        ("workflows", "0009_messages"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="rule",
            name="alert_rule_kinds_known",
        ),
        migrations.AlterField(
            model_name="alert",
            name="kind",
            field=models.CharField(
                choices=[
                    ("failure", "failure"),
                    ("first_failure", "first failure after a success"),
                    ("recovery", "recovery"),
                    ("late", "run takes too long"),
                    ("missing", "expected run is missing"),
                    ("new_error", "new error"),
                    ("error_regression", "error came back"),
                    ("upkeep_silent", "upkeep has not run"),
                ],
                max_length=50,
                verbose_name="kind",
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="kinds",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("failure", "failure"),
                        ("first_failure", "first failure after a success"),
                        ("recovery", "recovery"),
                        ("late", "run takes too long"),
                        ("missing", "expected run is missing"),
                        ("new_error", "new error"),
                        ("error_regression", "error came back"),
                        ("upkeep_silent", "upkeep has not run"),
                    ],
                    max_length=50,
                ),
                verbose_name="kinds",
            ),
        ),
        migrations.AddConstraint(
            model_name="rule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kinds__contained_by",
                        [
                            "failure",
                            "first_failure",
                            "recovery",
                            "late",
                            "missing",
                            "new_error",
                            "error_regression",
                            "upkeep_silent",
                        ],
                    ),
                    models.Q(("kinds", []), _negated=True),
                ),
                name="alert_rule_kinds_known",
            ),
        ),
    ]
