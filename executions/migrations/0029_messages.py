from django.db import migrations

from ledgerkit.db.operations import ChangeMessage


class Migration(migrations.Migration):
    """The errors of the database's functions in plain words."""

    dependencies = [
        ("executions", "0028_add_node"),
    ]

    operations = [
        ChangeMessage(
            "history_append_only()",
            "The history of a run cannot be changed: it goes only with the run.",
            "The history of a run cannot be changed: it is deleted with the run.",
        ),
        ChangeMessage(
            "deletions_append_only()",
            "That a run was deleted stays written down: it cannot be changed.",
            "The record of a deleted run cannot be changed.",
        ),
        ChangeMessage(
            "ledger_emptied()",
            "Runs, their history and their deletions are not truncated: delete runs, one by one or together.",
            "Runs, their history and the records of deleted runs cannot be truncated: delete the runs.",
        ),
        ChangeMessage(
            "execution_logs_immutable()",
            "A log line is a fact and cannot be changed: add another line instead.",
            "A log line cannot be changed: add another line instead.",
        ),
        ChangeMessage(
            "retry_run(uuid, uuid[], json, text)",
            "Only a failed run is retried.",
            "Only a failed run can be retried.",
        ),
    ]
