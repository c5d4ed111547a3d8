"""The audit history of workflows and tokens. Database triggers write it for every kind of change
(sql/definition_changes.sql) and keep it immutable. It outlives the rows that it refers to."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ledgerkit.db.audit import Through
from ledgerkit.db.indexes import Index
from ledgerkit.db.models import UUID7Model


class AuditFields(UUID7Model):
    """The actor, interface, reason and time of a change. Names of user and token are copies: both may be deleted."""

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


# A workflow was switched on or off, or moved to or from the trash. Rows of this kind have one entry.
SWITCHES = models.Q(
    models.Q(rows__0__fields__has_key="is_active") | models.Q(rows__0__fields__has_key="deleted_at"),
    kind=ChangedKind.WORKFLOW, act=ChangeAct.CHANGE,
)  # fmt: skip


class DefinitionChange(AuditFields):
    """The changes that one statement made to rows of one kind, of one workflow or token.

    `rows` is a list of {"name", "act", "fields": {name: [before, after]}}, at most MAX_ROWS rows; `more` counts the
    others. Long values are truncated.
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
            Index(
                fields=["subject_name"],
                name="idx_definition_changes_workflow_name",
                condition=models.Q(kind=ChangedKind.WORKFLOW),
            ),
            Index(fields=["subject_id", "-happened_at"], name="idx_definition_changes_switches", condition=SWITCHES),
        ]

    def __str__(self) -> str:
        return f"{self.get_act_display()}: {self.subject_name}"

    @classmethod
    def for_subject(cls, subject: models.Model) -> models.QuerySet["DefinitionChange"]:
        """Return the changes of a workflow, with its nodes and edges, or of a token; newest first."""
        return cls._default_manager.filter(subject_id=subject.pk)

    @classmethod
    def last_switch(cls, workflow: models.OuterRef) -> models.Subquery:
        """Return the time when a workflow was last switched on or off, or moved to or from the trash; None if never."""
        switches = cls._default_manager.filter(SWITCHES, subject_id=workflow).order_by("-happened_at")
        return models.Subquery(switches.values("happened_at")[:1])

    @classmethod
    def of_workflows(cls) -> models.QuerySet["DefinitionChange"]:
        """Return the changes of workflows themselves. `subject_name` is the current or a former name."""
        return cls._default_manager.filter(kind=ChangedKind.WORKFLOW).order_by()
