"""Calls of the API whose status is checked."""

import json
from typing import Any

API = "/api/v1/"


def post(client: Any, path: str, status: int = 200, **body: Any) -> Any:
    """Send a POST, check the status of the response and return its JSON. The path is below `API`."""
    response = client.post(f"{API}{path}", json.dumps(body, default=str), content_type="application/json")
    assert response.status_code == status, response.content
    return response.json()
