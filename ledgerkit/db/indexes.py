"""Indexes whose names may have 63 characters."""

from django.contrib.postgres import indexes as postgres
from django.db import models


class Index(models.Index):
    """An index on PostgreSQL, where a name may have 63 characters (Django stops at 30 for Oracle's sake)."""

    max_name_length = 63


class GinIndex(postgres.GinIndex):
    max_name_length = 63
