"""Writes that share one statement: each has the answer, and the effect, that it has alone."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from mbaas.core.sql.fragment import Statement
from tests.integration.records.conftest import COALESCE, Api
from tests.sample import ANA, BEN, P1, P2, P3, P4

OBJECT = "application/vnd.pgrst.object+json"
NOBODY = "00000000-0000-4000-8000-0000000000ff"
VOLATILE = {"created_at", "updated_at"}

Request = tuple[str, str, Any]
"""Method, path and body."""


def posts(*bodies: dict[str, Any], query: str = "?select=title,author,views,loud,tags,slug") -> list[Request]:
    return [("POST", f"/posts{query}", body) for body in bodies]


def changes(table: str, *asked: tuple[str, dict[str, Any]]) -> list[Request]:
    return [("PATCH", f"/{table}?{filters}", body) for filters, body in asked]


CASES: dict[str, tuple[str, list[Request], dict[str, str]]] = {
    "new rows": ("ana", posts(*({"title": f"t{n}", "tags": ["a", f'"{n}"']} for n in range(20))), {}),
    "a refused one": ("ana", posts({"title": "a"}, {"title": "forbidden"}, {"title": "b"}), {}),
    "somebody else's": ("ana", posts({"title": "a", "author": ANA}, {"title": "b", "author": BEN}), {}),
    "one that is there": ("ana", posts(*({"title": slug, "slug": slug} for slug in ("x", "y", "x", "z"))), {}),
    "no number": ("ana", posts(*({"title": "a", "views": views} for views in (1, "two", "3", 2**40))), {}),
    "hidden from who wrote it": ("ben", posts({"title": "a", "published": True}, {"title": "b", "published": False}), {}),
    "counted": ("ana", posts({"title": "a"}, {"title": "b"}), {"prefer": "return=representation,count=exact"}),
    "nothing back": ("ana", posts({"title": "a"}, {"title": "b"}, query=""), {"prefer": "return=minimal"}),
    "as one object": ("ana", posts({"title": "a"}, {"title": "b"}), {"accept": OBJECT}),
    "identities": (
        "ben",
        [("POST", "/comments?select=body,post,author", {"post": post, "body": "x"}) for post in (P1, P1, NOBODY, P2)],
        {},
    ),
    "where they are": (
        "service",
        [("POST", "/tags", {"id": number, "name": f"n{number}"}) for number in (7, 8, 9)],
        {"prefer": "return=headers-only"},
    ),
    "absent fields": (
        "ana",
        posts(*({"title": "a", "views": 3} for _ in range(2)), {"title": "b"}, query="?columns=title,views"),
        {"prefer": "return=minimal,missing=default"},
    ),
    "upserts": (
        "service",
        [("POST", "/tags", {"id": number, "name": name}) for number, name in ((1, "a"), (7, "b"), (1, "c"))],
        {"prefer": "return=representation,resolution=merge-duplicates"},
    ),
    "changes": (
        "ana",
        changes("posts", *((f"id=eq.{post}", {"title": f"new {post}"}) for post in (P1, P2, P3, P4, NOBODY))),
        {},
    ),
    "changes that are refused": (
        "ana",
        changes("posts", (f"id=eq.{P1}", {"title": "a"}), (f"id=eq.{P2}", {"title": "forbidden"}), ("id=eq.no", {"title": "b"})),
        {},
    ),
    "changes of one row": (
        "ana",
        changes("posts", *((f"id=eq.{spelled}", {"views": 5}) for spelled in (P1, P1.upper(), P1, "{" + P1 + "}"))),
        {},
    ),
    "changes by a unique field": (
        "ana",
        changes("profiles", *((f"username=eq.{name}", {"phone": "1"}) for name in ("ana", "ben", "nobody"))),
        {},
    ),
    "changes by a key of two": (
        "service",
        changes("posts_tags", *((f"post=eq.{P1}&tag=eq.{tag}", {"secret": True}) for tag in ("1", "2", "02", "3"))),
        {},
    ),
    "changes of one object": (
        "ana",
        changes("posts", *((f"id=eq.{post}&select=title", {"title": "n"}) for post in (P1, NOBODY, P2))),
        {"accept": OBJECT},
    ),
    "changes of few": (
        "ana",
        changes("posts", *((f"id=eq.{post}&select=title", {"title": "n"}) for post in (P1, P2))),
        {"prefer": "return=representation,handling=strict,max-affected=1"},
    ),
}  # fmt: skip


async def send(api: Api, by: str, request: Request, headers: dict[str, str]) -> httpx.Response:
    method, path, body = request
    return await api(method, path, by, body=body, **{"prefer": "return=representation", **headers})


def seen(response: httpx.Response) -> Any:
    """What a caller gets, without what differs from time to time."""
    names = ("content-range", "preference-applied", "location", "content-type")
    headers = {name: response.headers.get(name) for name in names}
    body = response.json() if response.content else None
    rows = body if isinstance(body, list) else [body]
    return response.status_code, headers, [without(row, VOLATILE | {"id"}) for row in rows]


def without(row: Any, names: set[str]) -> Any:
    return {name: value for name, value in row.items() if name not in names} if isinstance(row, dict) else row


async def state(api: Api) -> dict[str, list[Any]]:
    found = {}
    for table in ("profiles", "posts", "comments", "tags", "posts_tags"):
        generated = {"id"} if table in ("posts", "comments") else set()
        rows = await api.get(f"/{table}", "service")
        found[table] = sorted((without(row, VOLATILE | generated) for row in rows), key=repr)
    return found


@pytest.mark.parametrize("case", CASES)
async def test_each_has_the_answer_and_the_effect_that_it_has_alone(api: Api, twin: Api, case: str) -> None:
    by, requests, headers = CASES[case]
    alone = [seen(await send(twin, by, request, headers)) for request in requests]
    together = await asyncio.gather(*(send(api, by, request, headers) for request in requests))
    if case != "one that is there":
        assert [seen(response) for response in together] == alone
    else:  # which of two equal ones comes first is open
        assert sorted(map(repr, map(seen, together))) == sorted(map(repr, alone))
    assert await state(api) == await state(twin)


@pytest.mark.skipif(not COALESCE, reason="statements share nothing")
@pytest.mark.parametrize(("case", "statement"), [("new rows", "merge into"), ("changes", "update")])
async def test_they_do_share_one(api: Api, case: str, statement: str) -> None:
    """The agreement above would also hold if each went alone."""
    by, requests, headers = CASES[case]
    await asyncio.gather(*(send(api, by, request, headers) for request in requests))
    asked = await api.database.fetch_rows(
        Statement("select query from pg_stat_activity where datname = current_database()")
    )
    assert any((query or "").startswith("with args as") and statement in (query or "") for (query,) in asked)


async def test_two_changes_of_one_row_are_both_done(api: Api) -> None:
    """In any spelling of its key: one that no statement does twice would be lost."""
    await api.patch(f"/posts?id=eq.{P1}", "ana", {"views": 0})
    for spellings in ((P1, P1), (P1, P1.upper())):
        answers = await asyncio.gather(
            *(api("PATCH", f"/posts?id=eq.{key}&select=views", "ana", body={"views": number}, prefer="return=representation")
              for number, key in enumerate(spellings, start=1)),
        )  # fmt: skip
        assert [answer.json() for answer in answers] == [[{"views": 1}], [{"views": 2}]]
