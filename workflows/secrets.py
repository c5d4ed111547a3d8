"""What names a secret in a document, and documents masked by their keys alone. Pure."""

import re
from functools import lru_cache
from typing import Any

MASK = "***masked***"

NAMES = (
    "password", "passwd", "passphrase", "passcode", "token", "apikey", "secret", "authorization", "privatekey",
    "credential", "accesskey", "signingkey", "encryptionkey", "cookie", "bearer",
)  # fmt: skip
INNOCENT = re.compile("tokeni[sz]|secretar")
COUNTS = re.compile("tokens|tokencount|tokenlimit|tokenusage|tokenbudget")

# What a JSON Schema says of a property. What else it says there (`default`, `const`, `enum`, `examples`) are values.
DESCRIBING = {
    "type", "format", "title", "description", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems",
    "maxItems", "uniqueItems", "required", "$ref", "contentEncoding", "contentMediaType",
}  # fmt: skip
SCHEMAS = {"items", "prefixItems", "anyOf", "oneOf", "allOf", "not", "additionalProperties"}


@lru_cache(4096)
def names_secret(key: str, extra: tuple[str, ...] = ()) -> bool:
    """Whether a key names a secret, however it is written: `api_key`, `X-Api-Key`, `dbApiKey`."""
    bare = INNOCENT.sub("", plain(key))
    return any(name in bare for name in (*NAMES, *filter(None, map(plain, extra))))


def hides(key: Any, item: Any, extra: tuple[str, ...] = ()) -> bool:
    if not (isinstance(key, str) and names_secret(key, extra)):
        return False
    # `max_tokens` is a number of words, and `token` is a secret even where it is a number.
    return not (isinstance(item, int | float | None) and COUNTS.search(plain(key)))


def plain(key: str) -> str:
    return "".join(filter(str.isalnum, key.casefold()))


def masked(value: Any, extra: tuple[str, ...] = (), secret: bool = False) -> Any:
    """A copy with the mask in place of each value under a key that names a secret; the keys there stay readable. All
    of it where it is `secret` itself."""
    if isinstance(value, dict):
        return {key: masked(item, extra, secret or hides(key, item, extra)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, extra, secret) for item in value]
    return MASK if secret and value is not None else value


def masked_schema(value: Any, extra: tuple[str, ...] = (), secret: bool = False) -> Any:
    """masked() of a JSON Schema, whose keys name properties: what it says of one stays, a value that it gives goes."""
    if isinstance(value, list | tuple):
        return [masked_schema(item, extra, secret) for item in value]
    if isinstance(value, dict):
        return {key: _masked_keyword(key, item, extra, secret) for key, item in value.items()}
    return value if isinstance(value, bool) else masked(value, extra, secret)


def _masked_keyword(key: Any, item: Any, extra: tuple[str, ...], secret: bool) -> Any:
    if not secret:
        return masked_schema(item, extra, hides(key, item, extra))
    if isinstance(item, bool) or (key in DESCRIBING and not isinstance(item, dict)):
        return item
    if key == "properties" and isinstance(item, dict):
        return {name: masked_schema(schema, extra, secret) for name, schema in item.items()}
    return masked_schema(item, extra, secret) if key in SCHEMAS else masked(item, extra, secret)
