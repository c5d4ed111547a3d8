"""Migrations of ledgerkit on a database that has rows."""

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from ledgerkit.db.operations import rename_permission
from ledgerkit.models import IdempotencyKey

SHARE = "share_savedview"
BEFORE = [("ledgerkit", None), ("tokens", "0007_track_changes")]


@pytest.mark.django_db(transaction=True)
def test_idempotency_keys_keep_their_rows_and_lose_their_permissions() -> None:
    try:
        executor = MigrationExecutor(connection)
        executor.migrate(BEFORE)
        old = MigrationExecutor(connection).loader.project_state([BEFORE[1]]).apps.get_model("tokens", "IdempotencyKey")
        key = old.objects.create(caller="token:1", key="k", request_hash="h", status=201, body="{}")
        kind = ContentType.objects.create(app_label="tokens", model="idempotencykey")
        permission = Permission.objects.create(content_type=kind, codename="view_idempotencykey", name="view")
        Group.objects.create(name="operators").permissions.add(permission)
    finally:
        call_command("migrate", verbosity=0, interactive=False)
        ContentType.objects.clear_cache()
    assert IdempotencyKey.objects.values_list("pk", "caller", "status").get() == (key.pk, "token:1", 201)
    assert not Permission.objects.filter(codename__endswith="idempotencykey").exists()
    types = ContentType.objects.filter(model="idempotencykey")
    assert list(types.values_list("app_label", flat=True)) == ["ledgerkit"]


@pytest.mark.django_db
def test_a_permission_gets_its_new_name_and_the_former_one_back() -> None:
    Permission.objects.filter(codename=SHARE).update(name="old")
    operation = rename_permission("executions", SHARE, "old", "new")
    for change, name in ((operation.code, "new"), (operation.reverse_code, "old")):
        with connection.schema_editor() as editor:
            change(apps, editor)
        assert Permission.objects.get(codename=SHARE).name == name
