"""SavedView: named filters of a list, for their owner or for everybody."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import Case, Func, Q, Value, When
from django.db.models.lookups import Exact
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from executions.secrets.scrubber import Scrubber
from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db import names
from ledgerkit.db.exceptions import violated_constraint
from ledgerkit.db.fields import NameField
from ledgerkit.db.indexes import Index
from ledgerkit.db.models import UUID7Model, json_value
from workflows.querysets import User

MAX_VIEWS = 100  # of one owner
MAX_FILTER_LENGTH = 2_000  # characters of all filters of one view
JSON_TYPE = Func("filters", function="jsonb_typeof", output_field=models.TextField())

ONE_NAME = "one_saved_view_of_a_name_per_owner"
ONE_DEFAULT = "one_default_saved_view_per_owner"
ONE_FOR_ALL = "one_default_saved_view_for_all"
REFUSALS = {
    ONE_NAME: _("You have a view of this name: choose another one, or replace that view."),
    ONE_DEFAULT: _("Another view has just become your default: try again."),
    ONE_FOR_ALL: _("Another view has just become everybody’s default: try again."),
}


class Listed(models.TextChoices):
    """Lists that have saved views, by the names of their models."""

    RUNS = "workflowexecution", _("workflow executions")
    NODES = "nodeexecution", _("node executions")
    LINES = "executionlog", _("execution logs")


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def visible_to(self, user: User) -> "SavedViewQuerySet":
        return self.filter(Q(owner=user.pk) | Q(is_shared=True))

    def owned_by(self, user: User, listed: str = Listed.RUNS) -> "SavedViewQuerySet":
        return self.filter(owner=user.pk, listed=listed).order_by("name")

    def shared_with(self, user: User, listed: str = Listed.RUNS) -> "SavedViewQuerySet":
        shared = self.filter(is_shared=True, listed=listed).exclude(owner=user.pk)
        return shared.select_related("owner").order_by("name", "id")

    def default_of(self, user: User, listed: str = Listed.RUNS) -> "SavedView | None":
        """Return the user's default view of a list, else the default for everybody."""
        own = Q(owner=user.pk, is_default=True)
        found = self.filter(own | Q(is_default_for_all=True), listed=listed)
        return found.order_by(Case(When(own, then=0), default=1)).first()


class SavedView(UUID7Model):
    """A saved view of a list. `filters` holds the query parameters of the list; admin/saved_views.py checks them when
    it shows the view, because the list's filters may have changed since."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False, related_name="+", verbose_name=_("owner")
    )
    name = NameField(_("name"), max_length=100)
    listed = models.CharField(
        _("list"), max_length=30, choices=Listed, default=Listed.RUNS, db_default=str(Listed.RUNS)
    )
    filters = models.JSONField(_("filters"), default=dict, db_default=json_value({}), blank=True)
    is_shared = models.BooleanField(_("shared"), default=False, db_default=False)
    is_default = models.BooleanField(_("default of its owner"), default=False, db_default=False)
    is_default_for_all = models.BooleanField(_("default for everybody"), default=False, db_default=False)

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        db_table = "saved_views"
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        permissions = [
            ("share_savedview", gettext_noop("Can share saved views of all lists, and choose everybody’s default"))
        ]
        constraints = [
            models.UniqueConstraint(fields=["owner", "listed", "name"], name=ONE_NAME),
            models.UniqueConstraint(fields=["owner", "listed"], condition=Q(is_default=True), name=ONE_DEFAULT),
            models.UniqueConstraint(fields=["listed"], condition=Q(is_default_for_all=True), name=ONE_FOR_ALL),
            models.CheckConstraint(condition=Q(listed__in=Listed.values), name="saved_view_list_known"),
            models.CheckConstraint(
                condition=Q(is_default_for_all=False) | Q(is_shared=True), name="saved_view_for_all_is_shared"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="saved_view_has_a_name"),
            names.constraint("name", "saved_view_name_clean"),
            models.CheckConstraint(condition=Exact(JSON_TYPE, Value("object")), name="saved_view_filters_known"),
        ]
        indexes = [Index(fields=["name", "id"], name="idx_saved_views_shared", condition=Q(is_shared=True))]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        clear = Scrubber(extra=ledgerkit_settings.SECRET_KEYS_EXTRA)  # by key alone: a view belongs to no run
        self.name, self.filters = clear.document(self.name), clear.document(self.filters)
        self.is_shared = self.is_shared or self.is_default_for_all
        if any(not isinstance(each, str) for pair in self.filters.items() for each in pair):
            raise ValidationError(_("A filter of a view is a name and a value, both of them texts."))
        if sum(len(name) + len(value) for name, value in self.filters.items()) > MAX_FILTER_LENGTH:
            raise ValidationError(_("These filters are too long to be saved: leave some out."))
        if self._state.adding and type(self).objects.filter(owner=self.owner_id).count() >= MAX_VIEWS:
            raise ValidationError(gettext("You have %(count)d views: delete one of them first.") % {"count": MAX_VIEWS})

    def put(self) -> None:
        """Save the view. If it is a default, it replaces the previous one. Raises ValidationError, and changes nothing,
        if it cannot be saved."""
        self.clean()
        with _translate_refusal():
            views = type(self).objects.exclude(pk=self.pk).filter(listed=self.listed)
            if self.is_default:
                views.filter(owner=self.owner_id, is_default=True).update(is_default=False)
            if self.is_default_for_all:
                views.filter(is_default_for_all=True).update(is_default_for_all=False)
            self.save()


@contextmanager
def _translate_refusal() -> Iterator[None]:
    """Translate an IntegrityError to a ValidationError."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if (sentence := REFUSALS.get(violated_constraint(error) or "")) is None:
            raise
        raise ValidationError(sentence) from error
