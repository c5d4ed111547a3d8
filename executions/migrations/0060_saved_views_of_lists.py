from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

LISTS = ["workflowexecution", "nodeexecution", "executionlog"]
ONE_NAME = "one_saved_view_of_a_name_per_owner"
ONE_DEFAULT = "one_default_saved_view_per_owner"
ONE_FOR_ALL = "one_default_saved_view_for_all"


class Migration(migrations.Migration):
    """Saved views of the lists of node executions and of lines. Those that exist are of runs. The table is small."""

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("executions", "0059_run_notes"),
    ]

    operations = [
        migrations.AddField(
            model_name="savedview",
            name="listed",
            field=models.CharField(
                choices=[
                    ("workflowexecution", "workflow executions"),
                    ("nodeexecution", "node executions"),
                    ("executionlog", "execution logs"),
                ],
                db_default="workflowexecution",
                default="workflowexecution",
                max_length=30,
                verbose_name="list",
            ),
        ),
        migrations.RemoveConstraint(model_name="savedview", name=ONE_NAME),
        migrations.RemoveConstraint(model_name="savedview", name=ONE_DEFAULT),
        migrations.RemoveConstraint(model_name="savedview", name=ONE_FOR_ALL),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.UniqueConstraint(fields=("owner", "listed", "name"), name=ONE_NAME),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.UniqueConstraint(
                condition=Q(is_default=True), fields=("owner", "listed"), name=ONE_DEFAULT
            ),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.UniqueConstraint(
                condition=Q(is_default_for_all=True), fields=("listed",), name=ONE_FOR_ALL
            ),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.CheckConstraint(condition=Q(listed__in=LISTS), name="saved_view_list_known"),
        ),
    ]
