"""Django's own pages of users and groups."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User


@pytest.mark.parametrize("kind", ["user", "group"])
@pytest.mark.parametrize("key", ["abc", "", "1.5", "9" * 5000])
def test_an_action_on_what_is_no_row_is_400(client: Any, staff: Any, kind: str, key: str) -> None:
    client.force_login(staff)
    said = {"action": "delete_selected", "select_across": "0", "index": "0", "_selected_action": key}
    assert client.post(f"/admin/auth/{kind}/", said).status_code == 400
    assert User.objects.get() == staff


def test_an_action_on_rows_asks_first_and_then_is_done(client: Any, staff: Any) -> None:
    client.force_login(staff)
    group = Group.objects.create(name="engines")
    said = {"action": "delete_selected", "select_across": "0", "index": "0", "_selected_action": str(group.pk)}
    page = client.post("/admin/auth/group/", said).content.decode()
    assert "engines" in page
    assert 'value="Delete 1 group"' in page
    assert 'value="Delete the group"' in client.get(f"/admin/auth/group/{group.pk}/delete/").content.decode()
    assert Group.objects.filter(pk=group.pk).exists()
    assert client.post("/admin/auth/group/", said | {"post": "yes"}).status_code == 302
    assert not Group.objects.filter(pk=group.pk).exists()
