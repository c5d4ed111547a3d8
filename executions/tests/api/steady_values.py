"""Values of recorded requests and responses that are the same in each recording."""

import base64
import json
import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

CURSOR = "WyI3NDg6NzQ4OiIsIjc0ODo3NDg6IiwiIixbXSxmYWxzZV0="  # what an event's id looks like
DAY = "2026-11-20"  # of the recording
HOST = "http://127.0.0.1:8000"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MADE_SECRET, MESSAGE = re.compile(r"whsec_[\w+/=]+"), re.compile("msg_[0-9a-f]{32}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


def steady(exchanges: Any, chosen: Collection[str]) -> Any:
    """Replace times and generated ids by numbers in their order: they differ between two sessions. `chosen` ids are
    kept."""
    text = json.dumps(exchanges)
    found = dict.fromkeys(id for id in UUID.findall(text) if id not in chosen)
    ids = {id: f"019ab0c4-0000-7000-8000-00000000a{n:03x}" for n, id in enumerate(found)}
    moments = sorted({datetime.fromisoformat(time) for time in times(exchanges)})
    clock = {moment: datetime(2026, 11, 20, 21, tzinfo=UTC) + timedelta(seconds=n) for n, moment in enumerate(moments)}
    return replace_values(exchanges, ids, clock)


def times(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from times(item)
    elif isinstance(value, str):
        if TIME.fullmatch(value):
            yield value
        elif value.startswith("retry: "):
            yield from (found[0] for found in TIME.finditer(value))
        elif "cursor=" in value:
            yield from times(json.loads(_cursor(value)))


def replace_values(value: Any, ids: dict[str, str], clock: dict[datetime, datetime]) -> Any:
    if isinstance(value, list):
        return [replace_values(item, ids, clock) for item in value]
    if isinstance(value, dict):
        new = {key: replace_values(item, ids, clock) for key, item in value.items()}
        of_today = {"day": DAY} if "day" in new and "seen" in new else {}  # how often an error was seen on a day
        return new | _duration(new) | ({"owner": 1} if new.get("owner") else {}) | of_today
    if not isinstance(value, str):
        return value
    if TIME.fullmatch(value):
        return clock[datetime.fromisoformat(value)].isoformat().replace("+00:00", "Z")
    if value.startswith("retry: ") or "cursor=" in value:
        return (_address if "cursor=" in value else _stream)(value, ids, clock)
    value = MADE_SECRET.sub("whsec_bWFkZSBieSB0aGUgc2VydmVyLCBzaG93biBvbmNl", value)
    value = MESSAGE.sub("msg_019ab0c400007000800000000000aaaa", value)
    return UUID.sub(lambda found: ids.get(found[0], found[0]), value)


def _stream(text: str, ids: dict[str, str], clock: dict[datetime, datetime]) -> str:
    """Do the same to a stream: its data are rows, and its ids name transactions."""
    events = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.split("\n\n") if block]
    for event in events:
        if "data" in event:
            data = replace_values(json.loads(event["data"]), ids, clock)
            event |= {"id": CURSOR, "data": json.dumps(data, separators=(",", ":"), ensure_ascii=False)}
    return "".join("\n".join(f"{name}: {value}" for name, value in event.items()) + "\n\n" for event in events)


def _duration(row: dict[str, Any]) -> dict[str, float]:
    if not row.get("duration_seconds"):
        return {}
    start, end = (datetime.fromisoformat(row[name]) for name in ("started_at", "ended_at"))
    return {"duration_seconds": (end - start).total_seconds()}


def _cursor(address: str) -> str:
    return base64.urlsafe_b64decode(parse_qs(urlsplit(address).query)["cursor"][0]).decode()


def _address(value: str, ids: dict[str, str], clock: dict[datetime, datetime]) -> str:
    """Do the same to a link to another page, whose cursor holds ids and times."""
    parts = urlsplit(value)
    cursor = json.dumps(replace_values(json.loads(_cursor(value)), ids, clock)).encode()
    query = {name: values[0] for name, values in parse_qs(parts.query).items() if name not in {"after", "before"}}
    query["cursor"] = base64.urlsafe_b64encode(cursor).decode()
    return f"{HOST}{parts.path}?{urlencode(query)}"
