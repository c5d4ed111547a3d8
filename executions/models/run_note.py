"""RunNote: the notes of people on a run, with every version."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from ledgerkit.db.indexes import Index
from workflows.history import AuditFields


class NoteAct(models.TextChoices):
    WRITE = "note", _("note")
    EDIT = "edit_note", _("edit the note")
    REMOVE = "remove_note", _("remove the note")


class RunNote(AuditFields):
    """A version of a note: it was written, edited or removed, by whom and when. The reason is the text of the note.
    Rows are only added; the newest row with a `number` is the current note."""

    workflow_execution = models.ForeignKey(
        "executions.WorkflowExecution",
        on_delete=models.DB_CASCADE,
        db_index=False,
        related_name="note_versions",
        verbose_name=_("workflow execution"),
    )
    number = models.PositiveIntegerField(_("number"))  # of the note within the run, from 1
    act = models.CharField(_("act"), max_length=50, choices=NoteAct)

    class Meta:
        db_table = "execution_notes"
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        default_permissions = ("delete",)  # of the notes of others: an administrator's
        ordering = ["number", "id"]
        indexes = [
            Index(fields=["workflow_execution", "number", "id"], name="idx_execution_notes_workflow_execution"),
            # For the activity of a user.
            Index(
                fields=["username", "id"],
                name="idx_execution_notes_username",
                condition=models.Q(token_id=None) & ~models.Q(username=""),
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(act__in=NoteAct.values), name="execution_note_act_known"),
        ]

    def __str__(self) -> str:
        return f"{self.act} {self.number}"
