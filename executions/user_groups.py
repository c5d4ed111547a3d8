"""Groups of users that `migrate` creates once. An administrator may change, rename or delete them."""

from collections.abc import Iterable

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.db import router
from django.db.migrations import Migration
from django.utils.translation import gettext_noop

MIGRATION = ("executions", "0024_permissions")  # the groups are created when this migration runs
APPS = ("workflows", "executions", "tokens")
# Permissions on models that were added later: a migration grants them to the groups that exist.
LATER = {"0054_error_groups": ("view_errorgroup", "change_errorgroup"), "0059_run_notes": ("delete_runnote",)}
OPERATOR = ("change_workflowexecution", "change_nodeexecution", "change_errorgroup")

VIEWERS, OPERATORS, ADMINISTRATORS = (
    gettext_noop("Ledger viewers"),
    gettext_noop("Ledger operators"),
    gettext_noop("Ledger administrators"),
)


def after_migrate(*, using: str, plan: Iterable[tuple[Migration, bool]] = (), **_kwargs: object) -> None:
    """Create the groups when the migration is applied, and extend them when a later one is. Receiver of
    post_migrate."""
    applied = {migration.name for migration, undone in plan if migration.app_label == "executions" and not undone}
    if MIGRATION[1] in applied:
        create(using)
    else:
        extend(using, [name for migration in applied for name in LATER.get(migration, ())])


def create(using: str) -> None:
    """Create the groups that are missing, with their permissions."""
    group = apps.get_model("auth.Group")
    if not router.allow_migrate_model(using, group):
        return
    for label in APPS:
        create_permissions(apps.get_app_config(label), verbosity=0, using=using)
    permissions = apps.get_model("auth.Permission")._default_manager.using(using)
    ours = list(permissions.filter(content_type__app_label__in=APPS).select_related("content_type"))
    views = [each for each in ours if each.codename.startswith("view_") and each.content_type.app_label != "tokens"]
    granted = {
        VIEWERS: views,
        OPERATORS: [*views, *(each for each in ours if each.codename in OPERATOR)],
        ADMINISTRATORS: ours,
    }
    for name, those in granted.items():
        row, is_new = group._default_manager.using(using).get_or_create(name=name)
        if is_new:
            row.permissions.set(those)


def extend(using: str, codenames: Iterable[str]) -> None:
    """Grant permissions on new models to those of the groups that still exist."""
    group = apps.get_model("auth.Group")
    if not codenames or not router.allow_migrate_model(using, group):
        return
    create_permissions(apps.get_app_config("executions"), verbosity=0, using=using)
    permissions = apps.get_model("auth.Permission")._default_manager.using(using)
    ours = list(permissions.filter(content_type__app_label="executions", codename__in=codenames))
    views = [each for each in ours if each.codename.startswith("view_")]
    operators = [*views, *(each for each in ours if each.codename in OPERATOR)]
    for name, those in {VIEWERS: views, OPERATORS: operators, ADMINISTRATORS: ours}.items():
        for row in group._default_manager.using(using).filter(name=name):
            row.permissions.add(*those)
