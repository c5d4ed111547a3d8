from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models.functions import Length
from django.db.models.lookups import LessThanOrEqual

from ledgerkit.db.online_operations import LockTables


class Migration(migrations.Migration):
    """Adding the columns rewrites no partition, and their constraints read none (NOT VALID): the columns of all rows
    that exist are NULL."""

    dependencies = [
        ("executions", "0029_messages"),
    ]

    operations = [
        LockTables("execution_logs"),
        migrations.AddField(
            model_name="executionlog",
            name="source",
            field=models.TextField(
                blank=True, help_text="The process that wrote the line.", null=True, verbose_name="source"
            ),
        ),
        migrations.AddField(
            model_name="executionlog",
            name="seq",
            field=models.BigIntegerField(
                blank=True,
                help_text="The number that its source gave the line, from 1: a missing number is a missing line.",
                null=True,
                verbose_name="number",
            ),
        ),
        migrations.AddField(
            model_name="executionlog",
            name="attempt",
            field=models.IntegerField(
                blank=True,
                help_text="The attempt of its node execution, or of the run if it has none, that wrote the line.",
                null=True,
                verbose_name="attempt",
            ),
        ),
        AddConstraintNotValid(
            model_name="executionlog",
            constraint=models.CheckConstraint(
                condition=LessThanOrEqual(Length("source"), 200), name="execution_log_source_length"
            ),
        ),
        AddConstraintNotValid(
            model_name="executionlog",
            constraint=models.CheckConstraint(condition=models.Q(seq__gte=1), name="execution_log_seq_from_one"),
        ),
        AddConstraintNotValid(
            model_name="executionlog",
            constraint=models.CheckConstraint(
                condition=models.Q(attempt__gte=1), name="execution_log_attempt_from_one"
            ),
        ),
    ]
