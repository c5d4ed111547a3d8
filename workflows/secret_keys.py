"""Key names of secrets in documents, and masking of documents by their keys. Pure functions."""

import re
from collections.abc import Sequence
from functools import lru_cache

MASK = "***masked***"

NAMES = (
    "password", "passwd", "passphrase", "passcode", "token", "apikey", "secret", "authorization", "privatekey",
    "credential", "accesskey", "signingkey", "encryptionkey", "cookie", "bearer", "sessionid", "sshkey", "authkey",
    "connectionstring", "비밀번호", "암호", "토큰", "인증키", "비밀키", "접속키",
)  # fmt: skip
# These name one only as the last word of a key, as in `db_pwd`, `smtpPass` and `pin-code`: `author`, `pinned`,
# `auth_url` and `pass_rate` name none.
WORDS = {"pwd", "auth", "jwt", "otp", "pin", "signature", "dsn"}
LAST_OF_MANY = {"pass"}  # `pass` by itself is the opposite of `fail`
FILLING = {"code", "value", "header", "string"}
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
INNOCENT = re.compile(
    "tokeni[sz]|secretar|암호화(?!키)|(?:비밀번호|암호|토큰|인증키|비밀키|접속키)(?:수|개수|여부|길이|변경일시?|만료|만료일시?)$"
)
# A key that ends in one of these words describes a secret, but is not one: `password_changed_at`, `token_count`.
ABOUT = {
    "at", "in", "time", "date", "timestamp", "age", "ttl", "expires", "expiry", "expiration", "expired",
    "lifetime", "timeout", "ms", "seconds", "minutes", "hours", "days", "count", "counts", "limit", "limits",
    "usage", "budget", "length", "size", "bytes", "rate", "type", "kind", "format", "name", "names", "label",
    "url", "uri", "endpoint", "domain", "host", "port", "path", "file", "stdin", "ref", "policy", "rule",
    "rules", "enabled", "disabled", "required", "valid", "invalid", "verified", "changed", "rotation",
    "version", "status", "attempt", "attempts", "failures", "errors", "strength", "score", "bucket", "index",
    "position", "offset", "field", "column", "table", "provider", "issuer", "audience", "scope", "scopes",
    "method", "mode", "algorithm", "수", "개수", "여부", "길이", "만료", "만료일", "변경일",
}  # fmt: skip
PLACES = {"page", "next", "continuation", "continue", "pagination", "cursor", "sync", "다음", "페이지"}  # in a list
NO_VALUES = {"none", "null", "true", "false", "nil", "undefined"}
SMALL = 1_000  # a smaller number is easy to guess, and no secret
COUNTS = re.compile("tokens|tokencount|tokenlimit|tokenusage|tokenbudget")
# Of a pair: {"name": "DB_PASSWORD", "value": ...}.
NAMING = ("name", "Name", "key", "Key", "header", "variable", "field", "id")
VALUES = frozenset({"value", "Value", "values", "val", "content"})
LONGEST_KEPT = 200  # characters of a cached key: callers choose keys, and may make each a megabyte long
BARE_WORD = re.compile("[A-Za-z_]{1,40}")

# JSON Schema keywords that are kept. Others (`default`, `const`, `enum`, `examples`) hold values.
DESCRIBING = {
    "type", "format", "title", "description", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems",
    "maxItems", "uniqueItems", "required", "$ref", "contentEncoding", "contentMediaType",
}  # fmt: skip
SCHEMAS = {"items", "prefixItems", "anyOf", "oneOf", "allOf", "not", "additionalProperties"}


def names_secret(key: str, extra: tuple[str, ...] = ()) -> bool:
    """Return whether a key names a secret, in any spelling: `api_key`, `X-Api-Key`, `dbApiKey`."""
    if len(key) > LONGEST_KEPT:
        return bool(_names_secret.__wrapped__(key, extra))
    return _names_secret(key, extra)


@lru_cache(4096)
def _names_secret(key: str, extra: tuple[str, ...] = ()) -> bool:
    if _is_extra(key, extra):
        return True
    bare = INNOCENT.sub("", normalize_key(key))
    return (any(name in bare for name in NAMES) or _ends_in_word(key, bare)) and not _is_about(key)


def _is_extra(key: str, extra: tuple[str, ...]) -> bool:
    """Return whether the key contains a name from the setting; every value under such a key is secret."""
    return bool(extra) and any(name in normalize_key(key) for name in filter(None, map(normalize_key, extra)))


def _is_about(key: str) -> bool:
    words = [word.casefold() for word in WORD.findall(key[-200:])]
    if len(words) < 2:
        return False
    return words[-1] in ABOUT or (words[-1] in {"token", "토큰"} and words[-2] in PLACES)


def _ends_in_word(key: str, bare: str) -> bool:
    if not any(word in bare for word in (*WORDS, *LAST_OF_MANY)):
        return False
    words = [word.casefold() for word in WORD.findall(key[-200:])]
    while len(words) > 1 and words[-1] in FILLING:
        words.pop()
    return bool(words) and (words[-1] in WORDS or (len(words) > 1 and words[-1] in LAST_OF_MANY))


def should_mask(key: object, item: object, extra: tuple[str, ...] = ()) -> bool:
    if not (isinstance(key, str) and names_secret(key, extra)):
        return False
    if item is None or _is_extra(key, extra):
        return item is not None
    if isinstance(item, bool) or (isinstance(item, str) and len(item) < 10 and item.casefold() in NO_VALUES):
        return False
    # `max_tokens` is a count, but a large number under `token` is a secret.
    return not isinstance(item, int | float) or not (abs(item) < SMALL or COUNTS.search(normalize_key(key)))


def is_small(word: str) -> bool:
    return len(word) < len(str(SMALL)) and word.isdigit()


def hidden_in(value: dict[object, object], extra: tuple[str, ...] = ()) -> frozenset[str]:
    """Return the keys whose values are secret because another key of the same object names the secret."""
    if VALUES.isdisjoint(value):
        return frozenset()
    names = [
        name[:200] for key in NAMING if isinstance(name := value.get(key), str) and names_secret(name[:200], extra)
    ]
    return frozenset(
        key for key in VALUES & value.keys() if any(should_mask(name, value[key], extra) for name in names)
    )


def is_pair(items: Sequence[object], extra: tuple[str, ...] = ()) -> bool:
    """Return whether the second item is the value of a secret that the first one names, as in `["Authorization",
    "Bearer x"]`. In a pair of bare words both may be names."""
    if len(items) != 2:
        return False
    first, second = items
    if not isinstance(first, str) or not isinstance(second, str | int | float):
        return False
    return should_mask(first[:200], second, extra) and not (isinstance(second, str) and BARE_WORD.fullmatch(second))


def hidden_items(items: Sequence[object], extra: tuple[str, ...] = ()) -> frozenset[int]:
    """Return the indices of items that are secret because the item before names them: in a pair, or as a command line
    option, as in `["tool", "--password", "x"]`."""
    if is_pair(items, extra):
        return frozenset({1})
    options = [(at, item) for at, item in enumerate(items[:-1]) if isinstance(item, str) and item[:1] == "-"]
    return frozenset(at + 1 for at, option in options if _is_value(option[:LONGEST_KEPT], items[at + 1], extra))


def _is_value(option: str, item: object, extra: tuple[str, ...]) -> bool:
    is_option = isinstance(item, str) and item[:1] == "-"
    return isinstance(item, str | int | float) and not is_option and should_mask(option, item, extra)


def normalize_key(key: str) -> str:
    return "".join(filter(str.isalnum, key.casefold()))


def mask_document(value: object, extra: tuple[str, ...] = (), secret: bool = False) -> object:
    """Return a copy with each value under a secret key masked; the keys are kept. `secret` masks the whole value."""
    if isinstance(value, dict):
        more = hidden_in(value, extra)
        return {
            key: mask_document(item, extra, secret or key in more or should_mask(key, item, extra))
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        places = hidden_items(value, extra)
        return [mask_document(item, extra, secret or at in places) for at, item in enumerate(value)]
    return MASK if secret and value is not None else value


def mask_schema(value: object, extra: tuple[str, ...] = (), secret: bool = False) -> object:
    """Mask a JSON Schema, whose keys are property names: keywords are kept, values given by it are masked."""
    if isinstance(value, list | tuple):
        return [mask_schema(item, extra, secret) for item in value]
    if isinstance(value, dict):
        return {key: _masked_keyword(key, item, extra, secret) for key, item in value.items()}
    return value if isinstance(value, bool) else mask_document(value, extra, secret)


def _masked_keyword(key: object, item: object, extra: tuple[str, ...], secret: bool) -> object:
    if not secret:
        return mask_schema(item, extra, should_mask(key, item, extra))
    if isinstance(item, bool) or (key in DESCRIBING and not isinstance(item, dict)):
        return item
    if key == "properties" and isinstance(item, dict):
        return {name: mask_schema(schema, extra, secret) for name, schema in item.items()}
    return mask_schema(item, extra, secret) if key in SCHEMAS else mask_document(item, extra, secret)
