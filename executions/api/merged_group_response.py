"""The response to a request about a group of errors that was merged into another one: 404, with the id of that."""

from collections.abc import Mapping
from uuid import UUID

from django.http import Http404
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from executions.api.filters import visible_groups
from executions.error_groups.group_queries import find_group


class GroupMerged(Exception):
    def __init__(self, into: UUID) -> None:
        self.into = into
        super().__init__(f"This group was merged into the group {into}: use that one.")


def explain(error: Exception, request: Request, kwargs: Mapping[str, object]) -> Exception:
    """Return GroupMerged in place of a 404 about a group whose failures the caller may see in another one."""
    pk = kwargs.get("pk")
    if not isinstance(pk, UUID) or not isinstance(error, Http404 | NotFound):
        return error
    group = find_group(visible_groups(request), pk)
    return error if group is None or group.pk == pk else GroupMerged(group.pk)
