"""Names of nodes that the filters suggest while somebody types a part of one."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse

from executions import limits, run_conditions
from executions.admin.section_queries import query_or_none
from executions.admin.types import User
from ledgerkit.admin.lists import ModelAdmin
from ledgerkit.db import names

MAX_NAME_LENGTH = 255


def node_names_view(model_admin: ModelAdmin, request: HttpRequest) -> JsonResponse:
    """Return the first names with the part `?q=`; none if the search takes too long."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied("executions.view_nodeexecution")
    part = names.nfc(request.GET.get("q", "").replace("\0", "").strip()[:MAX_NAME_LENGTH])
    found = query_or_none("node names", lambda: _suggestions(request.user, part), limits.FIND_MS)
    response = JsonResponse({"names": found or []})
    response["Cache-Control"] = "no-store"
    return response


def _suggestions(user: User, part: str) -> list[str]:
    nodes = run_conditions.visible_nodes(user).filter(names.contains("name", part)).order_by("name")
    return list(nodes.values_list("name", flat=True).distinct()[: limits.OFFERED_NODE_NAMES])
