"""The groups that migrate creates, and the permissions that exist."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission

from executions import user_groups

pytestmark = pytest.mark.django_db

VIEWS = {
    "view_deletion", "view_definitionchange", "view_errorgroup", "view_executionlog", "view_nodeexecution",
    "view_savedview", "view_upkeeprun", "view_workflow", "view_workflowexecution",
}  # fmt: skip
PERMISSIONS = VIEWS | {
    "change_errorgroup",
    "add_executionlog", "add_nodeexecution", "change_nodeexecution",
    "add_workflowexecution", "change_workflowexecution", "delete_workflowexecution", "delete_runnote",
    "add_savedview", "change_savedview", "delete_savedview", "share_savedview",
    "add_workflow", "change_workflow", "delete_workflow",
    "view_token", "add_token", "change_token", "delete_token",
}  # fmt: skip


@pytest.fixture(autouse=True)
def create_groups() -> None:
    """Make them anew: those of a database that was just migrated have the permissions of other apps too."""
    Group.objects.all().delete()
    user_groups.create("default")


def permissions_of(name: str) -> set[str]:
    return set(Group.objects.get(name=name).permissions.values_list("codename", flat=True))


def test_no_permission_is_offered_that_nothing_asks_for() -> None:
    ours = Permission.objects.filter(content_type__app_label__in=["executions", "workflows", "tokens", "ledgerkit"])
    assert sorted(ours.values_list("codename", flat=True)) == sorted(PERMISSIONS)


def test_there_are_viewers_operators_and_administrators() -> None:
    assert permissions_of(user_groups.VIEWERS) == VIEWS
    assert permissions_of(user_groups.OPERATORS) == VIEWS | {
        "change_workflowexecution", "change_nodeexecution", "change_errorgroup",
    }  # fmt: skip
    assert permissions_of(user_groups.ADMINISTRATORS) == PERMISSIONS


def test_what_an_administrator_changed_stays() -> None:
    viewers = Group.objects.get(name=user_groups.VIEWERS)
    viewers.permissions.clear()
    user_groups.create("default")
    assert permissions_of(user_groups.VIEWERS) == set()


def test_a_deleted_group_comes_back_with_no_later_migration() -> None:
    class Done:
        app_label, name = user_groups.MIGRATION

    later: Any = type("Later", (), {"app_label": "executions", "name": "0099_later"})
    Group.objects.all().delete()
    for plan in ((), [(later, False)], [(Done, True)]):
        user_groups.after_migrate(using="default", plan=plan)
        assert not Group.objects.exists()
    user_groups.after_migrate(using="default", plan=[(Done, False)])
    assert Group.objects.count() == 3


def test_permissions_on_later_models_are_granted_to_the_groups_that_exist() -> None:
    class Later:
        app_label, name = "executions", "0054_error_groups"

    Group.objects.get(name=user_groups.ADMINISTRATORS).delete()
    for group in Group.objects.all():
        group.permissions.clear()
    user_groups.after_migrate(using="default", plan=[(Later, False)])  # type: ignore[list-item]  # in place of a migration
    assert permissions_of(user_groups.VIEWERS) == {"view_errorgroup"}
    assert permissions_of(user_groups.OPERATORS) == {"view_errorgroup", "change_errorgroup"}
    assert not Group.objects.filter(name=user_groups.ADMINISTRATORS).exists()
