from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    """Check the rows that were there before the constraints on error codes, without a lock that clients wait for."""

    atomic = False

    dependencies = [
        ("executions", "0043_error_codes"),
    ]

    operations = [
        ValidateConstraint("workflowexecution", "workflow_execution_code_of_failure"),
        ValidateConstraint("nodeexecution", "node_execution_code_of_failure"),
    ]
