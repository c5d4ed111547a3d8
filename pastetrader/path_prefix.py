"""The prefix under which a proxy serves the site (FORCE_SCRIPT_NAME), before Django takes it off."""

from collections.abc import Mapping, MutableMapping

from django.core.handlers.asgi import get_script_prefix

type Scope = MutableMapping[str, object]


def path_info(scope: Mapping[str, object]) -> str:
    """Return the path of an ASGI request below the prefix, as `request.path_info`."""
    path, prefix = str(scope["path"]), get_script_prefix(scope).rstrip("/")
    return path[len(prefix) :] if is_below(path, prefix) else path


def with_prefix(scope: Scope) -> Scope:
    """Return the scope with the prefix in its path. Some proxies take it off, and Django would write addresses from the
    request without it."""
    path, prefix = str(scope["path"]), get_script_prefix(scope).rstrip("/")
    return scope if not prefix or is_below(path, prefix) else {**scope, "path": f"{prefix}{path}"}


def is_below(path: str, prefix: str) -> bool:
    return bool(prefix) and (path == prefix or path.startswith(f"{prefix}/"))
