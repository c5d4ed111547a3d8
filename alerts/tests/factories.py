"""Expectations for tests."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from alerts.models import Expectation
from workflows.models import Workflow

LONG_AGO = timedelta(days=60)


def expect(workflow: Workflow, kind: str, **fields: Any) -> Expectation:
    """Return an expectation that was made long ago."""
    row = Expectation.objects.create(workflow=workflow, kind=kind, **fields)
    return made_at(row, timezone.now() - LONG_AGO)


def made_at(row: Expectation, moment: datetime) -> Expectation:
    Expectation.objects.filter(pk=row.pk).update(updated_at=moment)
    return Expectation.objects.get(pk=row.pk)
