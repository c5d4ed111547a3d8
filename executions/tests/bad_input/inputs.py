"""Bad input by name, from the files in `data`.

A value is a text, or a list of texts and of pairs (text, times). In `request_bodies.json`, `http_requests.json` and
`imported_files.json` each character stands for one byte, in `json_values.json` a value is the text of a JSON value, and
in `graphs.json` it is a document.
"""

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


def load(name: str) -> dict[str, str]:
    return {key: _text(value) for key, value in documents(name).items()}


def load_bytes(name: str) -> dict[str, bytes]:
    return {key: text.encode("latin-1") for key, text in load(name).items()}


def documents(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / name).read_bytes())
    return found


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "".join(part if isinstance(part, str) else part[0] * part[1] for part in value)


TEXTS = load("texts.json")
VALUES = load("json_values.json")
BODIES = load_bytes("request_bodies.json")
FILES = load_bytes("imported_files.json")
GRAPHS = documents("graphs.json")
QUERIES = load("queries.json")
PATHS = load("paths.json")
HTTP_REQUESTS = load_bytes("http_requests.json")
