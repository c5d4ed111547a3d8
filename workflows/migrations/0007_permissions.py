from django.db import migrations

from ledgerkit.db.operations import remove_permissions


class Migration(migrations.Migration):
    """Remove the permissions that nothing checks."""

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("workflows", "0006_definition_changes"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="edge",
            options={
                "default_permissions": (),
                "ordering": ["workflow_id", "priority", "id"],
                "verbose_name": "edge",
                "verbose_name_plural": "edges",
            },
        ),
        migrations.AlterModelOptions(
            name="graph",
            options={
                "default_permissions": (),
                "ordering": ["workflow_id", "id"],
                "verbose_name": "graph",
                "verbose_name_plural": "graphs",
            },
        ),
        migrations.AlterModelOptions(
            name="node",
            options={
                "default_permissions": (),
                "ordering": ["workflow_id", "name"],
                "verbose_name": "node",
                "verbose_name_plural": "nodes",
            },
        ),
        remove_permissions(
            "workflows",
            "add_edge",
            "change_edge",
            "delete_edge",
            "view_edge",
            "add_graph",
            "change_graph",
            "delete_graph",
            "view_graph",
            "add_node",
            "change_node",
            "delete_node",
            "view_node",
        ),
    ]
