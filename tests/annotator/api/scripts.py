"""A script that speaks REST in somebody's name."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from rest_framework.authtoken.models import Token


class Script:
    """JSON in, JSON out, with a token."""

    def __init__(self, user: User) -> None:
        key, _ = Token.objects.get_or_create(user=user)
        self.client = Client(headers={"Authorization": f"Token {key.key}"})

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(f"/api/{path}", headers=headers)

    def delete(self, path: str) -> Any:
        return self.client.delete(f"/api/{path}")

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._send("post", path, body, headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._send("put", path, body, headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._send("patch", path, body, headers)

    def _send(self, verb: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        data = json.dumps({} if body is None else body)
        send = getattr(self.client, verb)
        return send(f"/api/{path}", data, content_type="application/json", headers=headers)


def refused(response: Any, status: int, words: str = "") -> Any:
    """A refusal in the one shape that they have."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert {"type", "title", "detail"} <= set(body)
    assert words in json.dumps(body, ensure_ascii=False), body
    return body
