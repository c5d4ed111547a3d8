"""The prefix under which a proxy serves the site (FORCE_SCRIPT_NAME), before Django takes it off."""

from collections.abc import Mapping

from django.core.handlers.asgi import get_script_prefix


def path_info(scope: Mapping[str, object]) -> str:
    """Return the path of an ASGI request below the prefix, as `request.path_info`."""
    path, prefix = str(scope["path"]), get_script_prefix(scope).rstrip("/")
    is_below = bool(prefix) and (path == prefix or path.startswith(f"{prefix}/"))
    return path[len(prefix) :] if is_below else path
