"""The groups of the ledger get permissions on alerts."""

import pytest
from django.contrib.auth.models import Group

from alerts import user_groups
from executions.user_groups import ADMINISTRATORS, OPERATORS, VIEWERS, create

pytestmark = pytest.mark.django_db


def permissions_of(name: str) -> set[str]:
    rows = Group.objects.get(name=name).permissions.filter(content_type__app_label="alerts")
    return set(rows.values_list("codename", flat=True))


def test_viewers_view_and_administrators_change_alerts() -> None:
    create("default")
    user_groups.grant("default")
    assert permissions_of(VIEWERS) == {f"view_{name}" for name in ("channel", "delivery", "expectation", "rule")}
    assert permissions_of(OPERATORS) == set()
    assert {"add_rule", "change_channel", "delete_expectation", "change_delivery"} <= permissions_of(ADMINISTRATORS)


def test_a_group_that_was_deleted_is_not_made_again() -> None:
    Group.objects.all().delete()
    user_groups.grant("default")
    assert not Group.objects.exists()
