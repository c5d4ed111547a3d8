"""What was changed of workflows and of tokens, and by whom. The database writes it (sql/definition_changes.sql), by
whatever way a change came, and lets nobody change it; it outlives what it names."""

from typing import Any

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ledgerkit.db.audit import Through
from ledgerkit.db.indexes import Index
from ledgerkit.db.models import UUID7Model


class AuditFields(UUID7Model):
    """Who did it, through what, why and when. The names of user and token are what they were: both may be gone."""

    through = models.CharField(_("through"), max_length=20, choices=Through)
    user_id = models.TextField(_("user id"), db_default="")
    username = models.TextField(_("user"), db_default="")
    token_id = models.UUIDField(_("token id"), null=True)
    token_name = models.TextField(_("token"), db_default="")
    reason = models.TextField(_("reason"), db_default="")
    request_id = models.TextField(_("request id"), db_default="")
    happened_at = models.DateTimeField(_("time"), db_default=Now())

    class Meta:
        abstract = True


class ChangedKind(models.TextChoices):
    WORKFLOW = "workflow", _("workflow")
    NODE = "node", _("node")
    EDGE = "edge", _("edge")
    TOKEN = "token", _("token")  # not a secret: the word


class ChangeAct(models.TextChoices):
    CREATE = "create", pgettext_lazy("act", "create")
    CHANGE = "change", pgettext_lazy("act", "change")
    DELETE = "delete", pgettext_lazy("act", "delete")


class DefinitionChange(AuditFields):
    """What one statement changed of the rows of one kind that belong to one workflow, or are one token.

    `rows` is a list of {"name", "act", "fields": {name: [before, after]}}, of MAX_ROWS rows at most; `more` is how many
    others there were. Long values are cut.
    """

    kind = models.CharField(_("kind"), max_length=20, choices=ChangedKind)
    subject_id = models.UUIDField(_("id"))  # of the workflow or the token
    subject_name = models.TextField(_("name"), db_default="")
    act = models.CharField(_("act"), max_length=20, choices=ChangeAct)
    rows = models.JSONField(_("changes"))
    more = models.PositiveIntegerField(_("further rows"), db_default=0)

    class Meta:
        db_table = "definition_changes"
        verbose_name = _("change of a definition or a token")
        verbose_name_plural = _("changes of definitions and tokens")
        default_permissions = ("view",)
        ordering = ["-happened_at", "-id"]
        indexes = [
            Index(fields=["-happened_at", "-id"], name="idx_definition_changes_happened"),
            Index(fields=["subject_id", "-happened_at", "-id"], name="idx_definition_changes_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.get_act_display()}: {self.subject_name}"

    @classmethod
    def of(cls, subject: Any) -> models.QuerySet["DefinitionChange"]:
        """Return the changes of a workflow, its nodes and edges included, or of a token; the newest first."""
        return cls._default_manager.filter(subject_id=subject.pk)
