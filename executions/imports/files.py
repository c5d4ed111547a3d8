"""Convert files to facts. The format is detected; an error is a sentence that names the place."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from . import argo, dbt, dbt_log, wfformat
from .conversion import Fact, NotImportable

MANIFEST, RESULTS = "manifest.json", "run_results.json"
LINES = frozenset({".jsonl", ".ndjson"})
FORMATS = (
    "expected dbt's run_results.json or its log in JSON, an Argo Workflow, a WfFormat instance, OpenLineage events "
    "or facts with one in each line"
)  # fmt: skip


class Source(NamedTuple):
    """A file of a known format. `facts` yields its facts; those of a long file in pieces, with the number of bytes
    read."""

    format: str
    pieces: Iterator[tuple[list[Fact], int]]
    is_events: bool = False


def expand(paths: Iterable[str]) -> Iterator[Path]:
    """Yield the files; for a directory, the JSON files in and below it. Raises NotImportable."""
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.suffix in {".json", *LINES})
        elif path.is_file() or str(path) == "-":
            yield path
        else:
            raise NotImportable(f"{path}: there is no such file.")


def is_part(path: Path) -> bool:
    """Return whether a file is part of another file beside it, and read with that."""
    if path.name != MANIFEST:
        return False
    beside = (each for each in path.parent.iterdir() if each.suffix in LINES)
    return (path.parent / RESULTS).exists() or any(map(_is_log, beside))


def _is_log(path: Path) -> bool:
    with path.open("rb") as stream:
        return dbt_log.is_event(_value_of(stream.readline()))


def open_source(path: Path, stream: BinaryIO) -> Source:
    """Detect the format of a file and return its source. Raises NotImportable."""
    first = stream.readline()
    while first and first.isspace():
        first = stream.readline()
    value = _value_of(first)
    if _is_fact(value):
        return Source("facts", _lines(value, len(first), stream))
    if isinstance(value, dict) and "eventTime" in value:
        return Source("openlineage", _lines(value, len(first), stream), is_events=True)
    if dbt_log.is_event(value):
        return Source("dbt log", _log(path, _lines(value, len(first), stream)))
    return _document(path, first + stream.read())


def _is_fact(value: object) -> bool:
    """Return whether the value is a fact: its kind has a dot, or is that of a log line."""
    kind = value.get("kind") if isinstance(value, dict) else None
    return isinstance(kind, str) and ("." in kind or kind == "log")


def _value_of(text: bytes) -> Any:
    """Return the JSON value of a line, None if the document continues after it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _lines(first: Any, size: int, stream: BinaryIO, at_once: int = 1_000) -> Iterator[tuple[list[Fact], int]]:
    """Yield the object of each line, in pieces. Raises NotImportable with the number of an invalid line."""
    some, read = [first], size
    for number, text in enumerate(stream, 2):
        read += len(text)
        if text.isspace():
            continue
        value = _value_of(text)
        if not isinstance(value, dict):
            raise NotImportable(f"line {number}: expected a JSON object.")
        some.append(value)
        if len(some) >= at_once:
            yield some, read
            some, read = [], 0
    yield some, read


def _log(path: Path, pieces: Iterator[tuple[list[Fact], int]]) -> Iterator[tuple[list[Fact], int]]:
    """Yield the facts of a log of dbt. The result of a node may be in its last line: all of it is read first."""
    events, size = [], 0
    for some, read in pieces:
        events += some
        size += read
    yield list(dbt_log.facts(events, _manifest_beside(path))), size


def _document(path: Path, body: bytes) -> Source:
    try:
        document = json.loads(body)
    except json.JSONDecodeError as error:
        raise NotImportable(f"line {error.lineno}, column {error.colno}: this is not JSON: {error.msg}.") from None
    except (ValueError, RecursionError):
        raise NotImportable("this is not JSON.") from None
    if isinstance(document, list) and document and all(isinstance(each, dict) for each in document):
        is_events = "eventTime" in document[0]
        if is_events or _is_fact(document[0]):
            return Source("openlineage" if is_events else "facts", iter([(document, len(body))]), is_events)
    if isinstance(document, dict) and "eventTime" in document:
        return Source("openlineage", iter([([document], len(body))]), is_events=True)
    name, convert = _converter(path, document)
    return Source(name, ((facts, len(body)) for facts in [list(convert(document))]))


def _converter(path: Path, document: object) -> tuple[str, Callable[[Any], Iterator[Fact]]]:
    keys = document.keys() if isinstance(document, dict) else set()
    if {"results", "metadata"} <= keys:
        return "dbt", lambda found: dbt.facts(found, _manifest_beside(path))
    if document_kind(document) == "Workflow":
        return "argo", argo.facts
    if "workflow" in keys and "schemaVersion" in keys:
        return "wfformat", wfformat.facts
    if {"nodes", "parent_map"} <= keys:
        raise NotImportable(f"this is a manifest of dbt, which needs {RESULTS} or a log beside it.")
    raise NotImportable(f"unknown format: {FORMATS}.")


def document_kind(document: object) -> str:
    """Return `kind` of a Kubernetes object. Dumps may lack it; spec and status identify a workflow then."""
    if not isinstance(document, dict):
        return ""
    has_parts = {"metadata", "spec", "status"} <= document.keys()
    return str(document.get("kind") or ("Workflow" if has_parts else ""))


def _manifest_beside(path: Path) -> Any:
    """Return the manifest of dbt beside a file, or in `target` beside its folder: dbt writes logs/dbt.log."""
    places = (path.parent / MANIFEST, path.parent.parent / "target" / MANIFEST)
    found = next((place for place in places if place.exists()), None)
    try:
        return None if found is None else json.loads(found.read_bytes())
    except (ValueError, RecursionError):
        raise NotImportable(f"{found}, which belongs to it, is not JSON.") from None
