"""Requests that differ from one before by their literals or bodies alone get the answer they would get by themselves.

A server keeps what it concluded from the first. Each is sent beside the same one with a header that nobody sent before.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.contract.rest import Scene

_NUMBERS = itertools.count()
_OWN = ("x-request-id", "date")


@pytest.fixture
async def me(scene: Scene) -> AsyncIterator[httpx.AsyncClient]:
    headers = scene.server.headers(scene.owner.token)
    async with httpx.AsyncClient(base_url=scene.server.url + "/rest/v1", headers=headers, verify=False) as client:
        yield client


def shown(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    return answer.status_code, {key: text for key, text in answer.headers.items() if key not in _OWN}, answer.content


async def asked(client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], body: Any) -> Any:
    """The answer, which must be that of one who is not known."""
    again = await client.request(method, path, headers=headers, json=body)
    anew = await client.request(method, path, headers={**headers, "x-nobody": str(next(_NUMBERS))}, json=body)
    assert shown(again) == shown(anew)
    return again


READS = {
    "as it is": ("select=title", {}),
    "an object": ("select=title", {"accept": "application/vnd.pgrst.object+json"}),
    "counted": ("select=title", {"prefer": "count=exact"}),
    "csv": ("select=title,views", {"accept": "text/csv"}),
    "with its schema": ("select=title", {"accept-profile": "public"}),
    "behind the last": ("select=title&offset=1", {"prefer": "count=exact"}),
    "by place": ("select=title&order=id&limit=1&cursor=", {}),
}


@pytest.mark.parametrize("query", READS, ids=str)
async def test_reads_by_key(me: httpx.AsyncClient, scene: Scene, query: str) -> None:
    more, headers = READS[query]
    found = [
        (await asked(me, "GET", f"/posts?{more}&id=eq.{key}", headers, None)).status_code
        for key in (scene.first, scene.new, scene.first, scene.draft, scene.new, "nonsense", scene.second)
    ]
    assert found[0] == found[2] == found[3] == found[6]
    assert found[5] == 400


@pytest.mark.parametrize("headers", [{}, {"prefer": "count=exact"}, {"range": "0-0"}], ids=str)
async def test_lists(me: httpx.AsyncClient, scene: Scene, headers: dict[str, str]) -> None:
    path = "/posts?select=title&order=title&limit=2"
    found = [
        (await asked(me, "GET", f"{path}&title=gte.{least}&author=eq.{scene.owner.id}", headers, None)).text
        for least in ("A", "Z", "First", "Second", "A", "zz")
    ]
    assert found[0] == found[4] != found[1] == "[]"


async def test_what_needs_decoding_is_no_plain_literal(me: httpx.AsyncClient) -> None:
    mark = uuid.uuid4().hex
    assert (await me.post("/posts", json={"title": f"{mark} 1"})).status_code == 201
    for value, found in (("+1", 1), ("+1", 1), ("%201", 1), ("+2", 0), ("%201", 1), ("+1", 1), ("", 0)):
        answer = await asked(me, "GET", f"/posts?select=title&title=eq.{mark}{value}", {}, None)
        assert len(answer.json()) == found


async def test_two_people_share_nothing(me: httpx.AsyncClient, scene: Scene) -> None:
    other = scene.server.headers(scene.other.token)
    path = f"/posts?select=title&id=eq.{scene.draft}"
    for _ in range(3):
        assert (await asked(me, "GET", path, {}, None)).json() == [{"title": "Draft"}]
        assert (await asked(me, "GET", path, other, None)).json() == []


CHANGES = {
    "silently": "",
    "shown": "return=representation",
    "counted": "count=exact",
    "shown and counted": "return=representation,count=exact",
}


@pytest.mark.parametrize("prefer", CHANGES, ids=str)
async def test_changes_by_key(me: httpx.AsyncClient, scene: Scene, prefer: str) -> None:
    headers = {"prefer": CHANGES[prefer]}
    seen, title = [], "Row"
    for key, body in (
        (scene.row, {"views": 5}), (scene.new, {"views": 5}), (scene.row, {"views": 6}), (scene.row, {"views": -1}),
        (scene.row, {"title": "Seven", "views": 7}), (scene.row, {}), (scene.row, {"views": 8}), (scene.row, {"no": 1}),
        (scene.row, {"title": "Nine", "views": 9}), ("nonsense", {"views": 5}), (scene.row, {"views": 10}),
    ):  # fmt: skip
        answer = await asked(me, "PATCH", f"/posts?select=title,views&id=eq.{key}", headers, body)
        seen.append(answer.status_code)
        if key == scene.row and answer.is_success and "views" in body:
            title = body.get("title", title)
            stored = await me.get(f"/posts?select=title,views&id=eq.{key}")
            assert stored.json() == [{"title": title, "views": body["views"]}]
    shown = 200 if "return" in CHANGES[prefer] else 204
    assert seen == [shown, shown, shown, 400, shown, shown, shown, 400, shown, 400, shown]


@pytest.mark.parametrize("prefer", ["", "return=representation", "return=headers-only", "count=exact"])
async def test_new_records(me: httpx.AsyncClient, prefer: str) -> None:
    """What they are given, one after the other: each has its own key, so these are not compared with others."""
    made = []
    for number in range(6):
        key = str(uuid.uuid4())
        body: dict[str, Any] = {"id": key, "title": f"New {number}"} | ({"views": number} if number % 2 else {})
        answer = await me.post("/posts?select=id,title,views", json=body, headers={"prefer": prefer})
        assert answer.status_code == 201, answer.text
        if prefer == "return=representation":
            assert answer.json() == [{"id": key, "title": f"New {number}", "views": number if number % 2 else 0}]
        else:
            assert answer.content == b""
        assert answer.headers.get("location") == (f"/posts?id=eq.{key}" if "headers" in prefer else None)
        assert answer.headers["content-range"] == ("*/1" if prefer == "count=exact" else "*/*")
        made.append(key)
        again = await me.post("/posts?select=id,title,views", json=body, headers={"prefer": prefer})
        assert (again.status_code, again.json()["code"]) == (409, "23505")
    stored = await me.get(f"/posts?select=id&order=title&id=in.({','.join(made)})")
    assert [record["id"] for record in stored.json()] == made
