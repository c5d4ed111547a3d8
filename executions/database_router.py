"""Database router for a streaming replica: requests that only read the ledger read it there (docs/scale.md)."""

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model

from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db.read_database import read_alias

# Apps whose rows are read from it. Users, sessions and tokens are read from the primary: who may do what is never old.
APPS = frozenset({"alerts", "executions", "workflows"})


class ReplicaRouter:
    """A router for `DATABASE_ROUTERS`. It has no opinion on models of other apps, unless a row was read from the
    replica."""

    def db_for_read(self, model: type[Model], **_hints: object) -> str | None:
        return read_alias() if model._meta.app_label in APPS else None

    def db_for_write(self, model: type[Model], instance: Model | None = None, **_hints: object) -> str | None:
        is_copy = instance is not None and _is_replica(instance._state.db)
        return DEFAULT_DB_ALIAS if is_copy or model._meta.app_label in APPS else None

    def allow_relation(self, obj1: Model, obj2: Model, **_hints: object) -> bool | None:
        return True if _is_replica(obj1._state.db) or _is_replica(obj2._state.db) else None

    def allow_migrate(self, db: str, _app_label: str, **_hints: object) -> bool | None:
        return False if _is_replica(db) else None


def _is_replica(using: str | None) -> bool:
    return using is not None and using == ledgerkit_settings.REPLICA
