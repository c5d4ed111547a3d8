"""Migrations of ledgerkit on a database that has rows."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from ledgerkit.models import IdempotencyKey

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
