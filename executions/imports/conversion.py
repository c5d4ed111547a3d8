"""Shared parts of the converters: stable ids, times, and values at a named place of a document."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from ledgerkit.db.json_validation import parse_utc_datetime
from ledgerkit.db.models import parse_uuid

type Fact = dict[str, Any]
type Document = Mapping[str, Any]

VERSION, VARIANT = 7 << 76, 2 << 62
MAX_NAME = 255
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NotImportable(ValueError):
    """The document is not valid in its format. The message names the place."""


def derive(moment: datetime, *parts: object) -> str:
    """Return a UUIDv7 with this time. Equal parts give equal ids."""
    digest = int.from_bytes(sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).digest()[:10])
    milliseconds = (moment - EPOCH).days * 86_400_000 + (moment - EPOCH).seconds * 1000 + moment.microsecond // 1000
    number = milliseconds << 80 | VERSION | (digest >> 62 & 0xFFF) << 64 | VARIANT | digest & (1 << 62) - 1
    return str(UUID(int=number))


def same_or_derived(id: str, moment: datetime, *parts: object) -> str:
    """Return the id itself if it is a UUIDv7, else one derived from it."""
    found = parse_uuid(id)
    if found is not None and found.version == 7:
        return str(found)
    return derive(moment, *parts, found or id)


def at(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_moment(value: object, place: str) -> datetime:
    """Return a time; one without a zone is in UTC. Raises NotImportable."""
    try:
        return parse_utc_datetime(value)
    except ValueError:
        raise NotImportable(f"{place}: expected a time of ISO 8601.") from None


def parse_optional_moment(value: object, place: str) -> datetime | None:
    return None if value is None or value == "" else parse_moment(value, place)


def get(document: object, *path: str | int, of: type | tuple[type, ...] = dict, default: object = ...) -> Any:
    """Return the value at a place of a document. Raises NotImportable if the value has another type, or is missing and
    has no default."""
    value: Any = document
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            value = None
        if value is None:
            break
    if value is None and default is not ...:
        return default
    types = of if isinstance(of, tuple) else (of,)
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        names = " or ".join(NAMES[each] for each in types)
        raise NotImportable(f"{place_of(path)}: expected {names}{', and it is missing' if value is None else ''}.")
    return value


NAMES = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false"}


def place_of(path: Iterable[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".") or "document"


def node_name(name: str) -> str:
    """Return a valid name of a node: the end of a longer name is replaced by a hash."""
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 9]} {sha256(name.encode()).hexdigest()[:8]}"


def workflow(
    name: str, description: str, nodes: Iterable[Fact], edges: Iterable[tuple[str, str]], **options: bool
) -> Fact:
    """Return the fact of a definition."""
    pairs = [{"source_node": source, "target_node": target} for source, target in edges]
    definition = {"name": node_name(name), "description": description, "nodes": list(nodes), "edges": pairs, **options}
    return {"kind": "workflow.ensure", "workflow": definition}


def run_fact(act: str, run: str, moment: datetime | None = None, /, **fields: object) -> Fact:
    return {"kind": f"execution.{act}", "id": run, **_at(moment), **fields}


def node_fact(act: str, run: str, node: str, moment: datetime | None = None, /, **fields: object) -> Fact:
    return {"kind": f"node.{act}", "id": node, "workflow_execution": run, **_at(moment), **fields}


def line(run: str, node: str | None, moment: datetime, level: str, message: str, data: object, *key: object) -> Fact:
    """Return the fact of a log line. `key` distinguishes it from other lines of the run with the same time."""
    return {
        "kind": "log", "id": derive(moment, run, "line", *key), "workflow_execution": run, "node_execution": node,
        "at": at(moment), "level": level, "message": message, "data": data,
    }  # fmt: skip


def _at(moment: datetime | None) -> dict[str, str]:
    return {} if moment is None else {"at": at(moment)}
