from django.db import migrations

from ledgerkit.db.operations import remove_permissions


class Migration(migrations.Migration):
    """Remove the permissions that nothing checks."""

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("executions", "0023_drop_secrets_version"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="executionlog",
            options={
                "default_permissions": ("add", "view"),
                "ordering": ["timestamp", "id"],
                "verbose_name": "execution log",
                "verbose_name_plural": "execution logs",
            },
        ),
        migrations.AlterModelOptions(
            name="historyentry",
            options={
                "default_permissions": (),
                "ordering": ["happened_at", "id"],
                "verbose_name": "history entry",
                "verbose_name_plural": "history",
            },
        ),
        migrations.AlterModelOptions(
            name="nodeexecution",
            options={
                "default_permissions": ("add", "change", "view"),
                "ordering": ["execution_order", "id"],
                "verbose_name": "node execution",
                "verbose_name_plural": "node executions",
            },
        ),
        migrations.AlterModelOptions(
            name="nodeexecutionattempt",
            options={
                "default_permissions": (),
                "ordering": ["number"],
                "verbose_name": "attempt of a node execution",
                "verbose_name_plural": "attempts of node executions",
            },
        ),
        migrations.AlterModelOptions(
            name="workflowexecutionattempt",
            options={
                "default_permissions": (),
                "ordering": ["number"],
                "verbose_name": "attempt of a workflow execution",
                "verbose_name_plural": "attempts of workflow executions",
            },
        ),
        remove_permissions(
            "executions",
            "change_executionlog",
            "delete_executionlog",
            "delete_nodeexecution",
            "add_historyentry",
            "change_historyentry",
            "delete_historyentry",
            "view_historyentry",
            "add_nodeexecutionattempt",
            "change_nodeexecutionattempt",
            "delete_nodeexecutionattempt",
            "view_nodeexecutionattempt",
            "add_workflowexecutionattempt",
            "change_workflowexecutionattempt",
            "delete_workflowexecutionattempt",
            "view_workflowexecutionattempt",
        ),
    ]
