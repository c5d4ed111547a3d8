"""Requests to the API. One that makes or moves something has a key, and is sent again until it is answered."""

import http.client
import json
import random
import time
import uuid
from collections import Counter
from typing import Any

from .proxy import Proxy

API = "/api/v1/"
PATIENCE = 90.0  # seconds until a request that is not answered is a failure
AGAIN = {429, 502, 503, 504}
KEY_IN_USE = "idempotency_key_in_use"
NO_CUT = 10**9  # bytes: no cut


class Unanswered(Exception):
    """A request was not answered as it should be."""


class Calls:
    """A client with a connection of its own. `refused` counts the answers 5xx, by status."""

    def __init__(self, port: int, token: str, timeout: float = 20) -> None:
        self.port, self.token, self.timeout = port, token, timeout
        self.refused: Counter[int] = Counter()
        self._line: http.client.HTTPConnection | None = None

    def act(self, path: str, body: object) -> Any:
        """Send the request until it is answered, and return the answer. Raises Unanswered."""
        status, content = self.answer(path, body)
        if status not in {200, 201}:
            raise Unanswered(f"{status} to {path}: {content}")
        return content

    def refuse(self, path: str, body: object, code: str) -> None:
        """Send the request until it is answered. Raises Unanswered unless it is refused with this code."""
        status, content = self.answer(path, body)
        if (status, content.get("code")) != (409, code):
            raise Unanswered(f"{status} and not 409, code {code}, to {path}: {content}")

    def read(self, path: str) -> Any:
        """Read a row."""
        return self.act(path, None)

    def answer(self, path: str, body: object) -> tuple[int, Any]:
        """Send the request until it is answered, and return status and content. Raises Unanswered."""
        key, until = str(uuid.uuid4()), time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = self.attempt(path, body, key)
            if found is not None and not _is_to_be_repeated(*found):
                return found
            time.sleep(0.05)
        raise Unanswered(f"no answer to {path} in {PATIENCE:.0f} s")

    def attempt(self, path: str, body: object, key: str, port: int | None = None) -> tuple[int, Any] | None:
        """Send the request once; without a body it reads. Return status and content, None if the connection broke."""
        headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json", "Idempotency-Key": key}
        line = self._line or http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=self.timeout)
        try:
            line.request("GET" if body is None else "POST", API + path, body and json.dumps(body), headers)
            response = line.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            line.close()
            self._line = None
            return None
        self._line = line if port is None else None
        if port is not None:
            line.close()
        if response.status >= 500:
            self.refused[response.status] += 1
        return response.status, _content(content)


class CutCalls(Calls):
    """A client each of whose requests is cut the first time. Half of the cuts fall into the request, half into its
    answer."""

    def __init__(self, port: int, token: str, chance: random.Random) -> None:
        super().__init__(port, token)
        self.proxy, self.chance = Proxy(port), chance
        self.cuts: Counter[str] = Counter()
        self.cut_key = ""  # of the request that was cut last

    def attempt(self, path: str, body: object, key: str, port: int | None = None) -> tuple[int, Any] | None:
        if key != self.cut_key:
            self.cut_key = key
            self._cut(path, body, key)
        return super().attempt(path, body, key, port)

    def _cut(self, path: str, body: object, key: str) -> None:
        self.proxy.of_request = self.proxy.of_answer = NO_CUT
        line, self._line = self._line, None
        if where := self.chance.randrange(2):
            self.proxy.of_answer = self.chance.choice([1, self.chance.randrange(1, 900)])
        else:
            self.proxy.of_request = self.chance.randrange(1, 500 + len(json.dumps(body)))
        super().attempt(path, body, key, self.proxy.port)
        self.cuts["answer" if where else "request"] += 1
        self._line = line


def _is_to_be_repeated(status: int, content: Any) -> bool:
    return status in AGAIN or (status == 409 and content["code"] == KEY_IN_USE)


def _content(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return {"code": "", "detail": content[:200].decode(errors="replace")}
