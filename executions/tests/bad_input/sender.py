"""A client that sends malformed bodies, and checks that a refusal stores nothing and says why."""

from abc import ABC, abstractmethod
from typing import Any


class Sender(ABC):
    """Names in braces, in a path and in a body, stand for the ids of rows."""

    def __init__(self, client: Any, ids: dict[str, str]) -> None:
        client.raise_request_exception = False
        self.client, self.ids, self.held = client, ids, self.holds()

    @abstractmethod
    def holds(self) -> Any:
        """Return what changes when any row changes."""

    def send(self, method: str, path: str, body: str | bytes) -> int:
        """Return the status of the answer, which `answer` keeps."""
        sent = body if isinstance(body, bytes) else body.encode()
        for name, value in self.ids.items():
            path, sent = path.replace("{" + name + "}", value), sent.replace(b"{%s}" % name.encode(), value.encode())
        answer = self.answer = self.client.generic(method, f"/api/v1/{path}", sent, content_type="application/json")
        said = (method, path, sent[:200], answer.content[:500])
        assert answer.status_code < 500, said
        before, self.held = self.held, self.holds()
        if answer.status_code >= 400:
            assert self.held == before, said
            assert answer["Content-Type"] == "application/problem+json", said
            assert answer.json()["detail"], said
        return int(answer.status_code)
