from io import StringIO

import pytest
from django.core.management import call_command

from ledgerkit.models import IdempotencyKey


@pytest.mark.django_db
def test_upkeep_forgets_answers_that_are_kept_no_longer() -> None:
    for key, created_at in (("old", "2020-01-01T00:00Z"), ("new", "2999-01-01T00:00Z")):
        IdempotencyKey.objects.create(caller="token:1", key=key, request_hash="", status=200, created_at=created_at)
    out = StringIO()
    call_command("upkeep", stdout=out)
    assert IdempotencyKey.objects.get().key == "new"
    assert "forgot 1 answers" in out.getvalue()
