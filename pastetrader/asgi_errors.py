"""Error responses of the ASGI application to requests that reach no view."""

import json

from executions.metrics import REFUSALS
from ledgerkit.rest.api_prefix import is_api
from ledgerkit.rest.problems import problem

type Header = tuple[bytes, bytes]


class Refusal(Exception):
    """A response to a request that reaches no view, as ASGI messages: a problem for the API, else a line of text."""

    def __init__(self, path: str, status: int, code: str, sentence: str, *more: Header) -> None:
        REFUSALS.labels(code).inc()
        kind, content = b"text/plain; charset=utf-8", f"{sentence}\n"
        if is_api(path):
            kind, content = b"application/problem+json", json.dumps(problem(status, code, sentence))
        headers = [(b"content-type", kind), (b"cache-control", b"private, no-store"), *more]
        headers.append((b"content-length", str(len(content)).encode()))
        self.messages: list[dict[str, object]] = [
            {"type": "http.response.start", "status": status, "headers": headers},
            {"type": "http.response.body", "body": content.encode()},
        ]
