from django.db import migrations

from ledgerkit.db.operations import rename_permission

OLD = "Can share views of the list of runs with everybody"
NEW = "Can share saved views of all lists, and choose everybody’s default"


class Migration(migrations.Migration):
    """The permission to share views is of the lists of node executions and lines too."""

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("executions", "0065_turns_of_running"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="savedview",
            options={
                "permissions": [("share_savedview", NEW)],
                "verbose_name": "saved view",
                "verbose_name_plural": "saved views",
            },
        ),
        rename_permission("executions", "share_savedview", OLD, NEW),
    ]
