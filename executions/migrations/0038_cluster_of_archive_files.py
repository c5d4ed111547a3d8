from django.db import migrations, models


class Migration(migrations.Migration):
    """The database cluster in which the snapshot of an archive file has a meaning."""

    dependencies = [
        ("executions", "0037_names_of_nodes_planned_once"),
    ]

    operations = [
        migrations.AddField(
            model_name="archivefile",
            name="cluster",
            field=models.TextField(db_default="", verbose_name="database cluster"),
        ),
    ]
