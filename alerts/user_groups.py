"""Permissions on alerts for the groups of the ledger (executions/user_groups.py)."""

from collections.abc import Iterable

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import router
from django.db.migrations import Migration

from executions.user_groups import ADMINISTRATORS, VIEWERS

MIGRATIONS = {"0001_expectations", "0002_rules"}  # the models that they make get permissions


def after_migrate(*, using: str, plan: Iterable[tuple[Migration, bool]] = (), **_kwargs: object) -> None:
    """Grant the permissions when one of the migrations is applied. Receiver of post_migrate."""
    applied = {each.name for each, is_undone in plan if each.app_label == "alerts" and not is_undone}
    if applied & MIGRATIONS and router.allow_migrate_model(using, Group):
        grant(using)


def grant(using: str) -> None:
    """Let viewers view and administrators do everything, in those of the groups that still exist."""
    create_permissions(apps.get_app_config("alerts"), verbosity=0, using=using)
    ours = Permission.objects.using(using).filter(content_type__app_label="alerts")
    for group in Group.objects.using(using).filter(name=ADMINISTRATORS):
        group.permissions.add(*ours)
    for group in Group.objects.using(using).filter(name=VIEWERS):
        group.permissions.add(*ours.filter(codename__startswith="view_"))
