"""One HTTP request as a value, and its bytes."""

from __future__ import annotations

import http.client
import json
from typing import Any

import msgspec


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """path: with the query, quoted. headers: beside host, content-type and content-length."""

    method: str = "GET"
    path: str
    headers: dict[str, str] = {}
    body: Any = msgspec.UNSET

    def raw(self, port: int) -> bytes:
        """What is written to the socket."""
        head, body = self._parts()
        lines = [f"{self.method} {self.path} HTTP/1.1", f"host: 127.0.0.1:{port}"]
        lines += [f"{name}: {value}" for name, value in head.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def send(self, port: int) -> tuple[int, bytes]:
        """Ask once: status and body. Raises OSError when nobody listens."""
        head, body = self._parts()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request(self.method, self.path, body or None, head)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _parts(self) -> tuple[dict[str, str], bytes]:
        if self.body is msgspec.UNSET:
            return self.headers, b""
        body = json.dumps(self.body).encode()
        return {**self.headers, "content-type": "application/json", "content-length": str(len(body))}, body
