"""Index classes for names of up to 63 characters."""

from django.contrib.postgres import indexes as postgres
from django.db import models


class Index(models.Index):
    """An index with a name of up to 63 characters, PostgreSQL's limit. Django allows 30, Oracle's limit."""

    max_name_length = 63


class GinIndex(postgres.GinIndex):
    max_name_length = 63
