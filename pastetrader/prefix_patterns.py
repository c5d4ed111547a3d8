"""Patterns of the path prefix under which a proxy serves the site."""

import re

# Not `.` and `..`, by which a browser would go to another path than the server names.
PART = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+"
PREFIX = re.compile(rf"(?:/{PART})+")


def probe_pattern(prefix: str, *, named_by_proxy: bool) -> str:
    """Return the pattern of the paths of probes, without the first slash, as SecurityMiddleware looks for them."""
    one = f"(?:{re.escape(prefix[1:])}/)?" if prefix else ""
    return rf"^{f'(?:{PART}/)*' if named_by_proxy and not prefix else one}(?:healthz|readyz|metrics)$"
