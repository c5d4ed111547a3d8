"""Validation of query parameter names and of lists of names."""

from collections.abc import Collection

from rest_framework.request import Request

from ledgerkit.rest.query_params import BadQuery, safe_name

PAGING = ("cursor", "page_size")


def check_names(request: Request, known: Collection[str], several: Collection[str] = ()) -> None:
    """Raise BadQuery, naming each, for parameters that are unknown, empty, or repeated without being among the
    `several`."""
    wrong: dict[str, list[str]] = {}
    for name, values in request.query_params.lists():
        if name not in known:
            wrong[safe_name(name)] = [f"This parameter is not known here. Known are: {', '.join(sorted(known))}."]
        elif "" in values:
            wrong[name] = ["Expected a value; leave the parameter out to ask for all."]
        elif len(values) > 1 and name not in several:
            wrong[name] = ["Expected this parameter once."]
    if wrong:
        raise BadQuery(wrong)


def parse_name_list(request: Request, name: str, allowed: Collection[str]) -> list[str] | None:
    """Return the values of a list such as `?fields=id,status` or `?fields=id&fields=status`, or None if it is absent.
    Raises BadQuery for a value that is not `allowed`."""
    if name not in request.query_params:
        return None
    found = [word for text in request.query_params.getlist(name) for word in text.split(",")]
    if set(found) - set(allowed):
        raise BadQuery(name, f"Expected some of: {', '.join(allowed)}.")
    return found
