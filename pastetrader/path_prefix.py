"""The prefix under which a proxy serves the site, before Django takes it off: FORCE_SCRIPT_NAME or, from a proxy that
is trusted to name it, X-Forwarded-Prefix."""

from collections.abc import Iterable, Mapping, MutableMapping

from django.conf import settings
from django.core.handlers.asgi import get_script_prefix

from pastetrader.asgi_errors import Refusal
from pastetrader.prefix_patterns import PREFIX

type Scope = MutableMapping[str, object]
type Headers = Iterable[tuple[bytes, bytes]]

HEADER = b"x-forwarded-prefix"
BAD = "X-Forwarded-Prefix must be given once, as a path such as /ledger, without parts . and .. The proxy sets it."


def path_info(scope: Mapping[str, object]) -> str:
    """Return the path of an ASGI request below the prefix, as `request.path_info`."""
    path, prefix = str(scope["path"]), get_script_prefix(scope).rstrip("/")
    return path[len(prefix) :] if is_below(path, prefix) else path


def with_prefix(scope: Scope, headers: Headers) -> Scope:
    """Return the scope with the prefix in its path. Some proxies take it off, and Django would write addresses from the
    request without it. Raises Refusal."""
    path = str(scope["path"])
    prefix = settings.FORCE_SCRIPT_NAME or (forwarded_prefix(path, headers) if settings.TRUST_FORWARDED_PREFIX else "")
    if not prefix:
        return scope
    return {**scope, "root_path": prefix, "path": path if is_below(path, prefix) else f"{prefix}{path}"}


def forwarded_prefix(path: str, headers: Headers) -> str:
    """Return the prefix that the proxy names, "" at the root of its host. Raises Refusal, for the path."""
    prefixes = [value.decode("latin-1").rstrip("/") for name, value in headers if name == HEADER]
    if len(prefixes) > 1 or any(prefix and not PREFIX.fullmatch(prefix) for prefix in prefixes):
        raise Refusal(path, 400, "invalid_request", BAD)
    return "".join(prefixes)


def is_below(path: str, prefix: str) -> bool:
    return bool(prefix) and (path == prefix or path.startswith(f"{prefix}/"))
