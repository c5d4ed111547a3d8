"""Notices above all sections of the monitor and of a workflow's page. Other apps register functions that find them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from executions import limits
from executions.admin.section_queries import query_or_none
from ledgerkit.types import StrOrPromise
from workflows.querysets import User


@dataclass(frozen=True)
class Notice:
    """A sentence about what should be looked at first. `address` is the page that explains it."""

    title: StrOrPromise
    sentence: StrOrPromise
    address: str


type Source = Callable[[User, UUID | None], list[Notice]]  # the notices that a user may see, of one workflow or of all

UNKNOWN = Notice(_("A notice could not be read."), _("Load the page again; the server's log says why."), "")
_sources: list[Source] = []


def register(source: Source) -> None:
    if source not in _sources:
        _sources.append(source)


def find_notices(user: User, workflow: UUID | None = None) -> list[Notice]:
    """Return the notices of all sources. One that fails gives a notice of its own."""
    found = [query_or_none("notices", partial(source, user, workflow), limits.FRONT_PAGE_MS) for source in _sources]
    return [notice for notices in found for notice in ([UNKNOWN] if notices is None else notices)]
