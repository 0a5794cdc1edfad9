"""``Idempotency-Key``: a write that is sent again is answered again, and done once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mbaas.adapters.postgres.kept_answers import sweep
from mbaas.config.settings import IdempotencySettings
from mbaas.core.sql.fragment import Statement
from mbaas.hooks.events import RecordCreate, RecordCreated
from tests.integration.records.conftest import Api
from tests.sample import ANA, P1, P3

ROWS = "return=representation"
BATCH = {"operations": [{"method": "POST", "path": "/rpc/bump", "body": {"post": P1}}]}


async def effects(api: Api) -> dict[str, int]:
    row = await api.database.fetch_row(
        Statement(
            "select (select count(*) from posts), (select sum(views) from posts), (select count(*) from comments)"
        )
    )
    assert row is not None
    return dict(zip(("posts", "views", "comments"), map(int, map(str, row)), strict=True))


WRITES: list[tuple[str, str, Any, str | None, dict[str, int]]] = [
    ("POST", "/posts?select=title", {"title": "x"}, ROWS, {"posts": 1}),
    ("POST", "/posts", [{"title": "x"}, {"title": "y"}], None, {"posts": 2}),
    ("POST", "/posts?on_conflict=slug", {"slug": "s", "title": "x"}, "resolution=merge-duplicates", {"posts": 1}),
    ("PUT", f"/profiles?id=eq.{ANA}", {"id": ANA, "username": "ana"}, ROWS, {}),
    ("PATCH", f"/posts?id=eq.{P1}&select=views", {"views": 11}, ROWS, {"views": 1}),
    ("DELETE", f"/comments?post=eq.{P3}&author=eq.{ANA}", None, "count=exact", {"comments": -1}),
    ("POST", "/rpc/bump", {"post": P1}, None, {"views": 1}),
    ("POST", "/batch/v1", BATCH, None, {"views": 1}),
]


@pytest.mark.parametrize(("method", "path", "body", "prefer", "change"), WRITES, ids=lambda one: str(one)[:30])
async def test_the_same_request_gets_the_same_answer_and_one_effect(
    api: Api, method: str, path: str, body: Any, prefer: str | None, change: dict[str, int]
) -> None:
    before = await effects(api)
    first = await api(method, path, "ana", body=body, prefer=prefer, idempotency_key="k1")
    again = await api(method, path, "ana", body=body, prefer=prefer, idempotency_key='"k1"')
    assert first.status_code < 300, first.text
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert "idempotency-replayed" not in first.headers
    assert again.headers.pop("idempotency-replayed") == "true"
    assert again.headers == first.headers
    assert await effects(api) == before | {name: before[name] + by for name, by in change.items()}


async def test_another_request_with_the_key_is_refused_whatever_differs(api: Api) -> None:
    first = {"title": "x", "slug": "s"}
    assert (await api("POST", "/posts", "ana", body=first, idempotency_key="k")).status_code == 201
    before = await effects(api)
    for method, path, body, prefer in [
        ("POST", "/posts", {"title": "y", "slug": "t"}, None),
        ("POST", "/posts?select=id", first, None),
        ("POST", "/posts", first, ROWS),
        ("POST", "/comments", first, None),
        ("PATCH", "/posts", first, None),
        ("POST", "/batch/v1", BATCH, None),
    ]:
        answer = await api(method, path, "ana", body=body, prefer=prefer, idempotency_key="k")
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused"), (method, path)
    assert await effects(api) == before


async def test_a_key_is_its_callers_own(api: Api) -> None:
    for caller in ("ana", "ben", "cat", "service"):
        body = {"title": f"of {caller}"} | ({"author": ANA} if caller == "service" else {})
        answer = await api("POST", "/posts?select=title", caller, body=body, prefer=ROWS, idempotency_key="same")
        assert (answer.status_code, answer.json()) == (201, [{"title": f"of {caller}"}])
        assert "idempotency-replayed" not in answer.headers
    # The same request by another caller is another request.
    body = {"title": "of ana"}
    assert (await api("POST", "/posts", "ana", body=body, idempotency_key="one")).status_code == 201
    answer = await api("POST", "/posts", "ben", body=body, idempotency_key="one")
    assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False)
    assert (await api("POST", "/rpc/add", "anon", body={"a": 1}, idempotency_key="same")).json() == 2


async def test_what_was_refused_left_nothing_and_may_be_tried_again(api: Api) -> None:
    taken = await api("POST", "/posts", "ana", body={"title": "x", "slug": "alpha"}, idempotency_key="k")
    assert taken.status_code == 409
    bad = await api("POST", "/batch/v1", "ana", body={"operations": [
        {"method": "POST", "path": "/posts", "body": {"title": "x"}}, {"method": "GET", "path": "/nope"}]}, idempotency_key="k")  # fmt: skip
    assert bad.status_code == 404
    await api("PATCH", f"/posts?id=eq.{P1}", "ana", body={"slug": "moved"})
    answer = await api("POST", "/posts", "ana", body={"title": "x", "slug": "alpha"}, idempotency_key="k")
    assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False)


@pytest.mark.parametrize("path", ["/posts", "/batch/v1"])
async def test_twenty_at_once_have_one_effect(api: Api, path: str) -> None:
    """Who comes while it is done hears that; who comes later gets the answer."""
    one = {"title": "x", "slug": "s"}
    body = one if path == "/posts" else {"operations": [{"method": "POST", "path": "/posts", "body": one}]}

    async def until_answered() -> Any:
        while True:
            answer = await api("POST", path, "ana", body=body, idempotency_key="k")
            if answer.status_code != 409:
                return answer
            assert (answer.json()["code"], answer.headers["retry-after"]) == ("idempotency_in_progress", "1")

    before = await effects(api)
    answers = await asyncio.gather(*(until_answered() for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201 if path == "/posts" else 200}
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert await effects(api) == before | {"posts": before["posts"] + 1}


async def test_while_it_is_done_the_same_request_is_told_so_at_once(api: Api) -> None:
    """It does not wait, so a slow write does not cost its caller's retries a connection each."""
    held = asyncio.Event()
    going = asyncio.Event()

    @api.hooks.around(RecordCreate, only="posts")
    async def slow(event: Any, proceed: Any) -> Any:
        going.set()
        await held.wait()
        return await proceed(event)

    first = asyncio.create_task(api("POST", "/posts", "ana", body={"title": "x"}, idempotency_key="k"))
    await going.wait()
    answer = await api("POST", "/posts", "ana", body={"title": "x"}, idempotency_key="k")
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")
    held.set()
    assert (await first).status_code == 201


async def test_after_hooks_hear_of_it_once(api: Api) -> None:
    told: list[str] = []

    @api.hooks.after(RecordCreated, only="posts")
    async def after(event: RecordCreated) -> None:
        told.extend(record["title"] for record in event.records)

    for _ in range(2):
        assert (await api("POST", "/posts", "ana", body={"title": "x"}, idempotency_key="k")).status_code == 201
        await api.hooks.settle()
    assert told == ["x"]


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\tb", "\u00e9", '""'])
async def test_a_key_that_is_none_is_refused(reading: Api, key: str) -> None:
    answer = await reading("POST", "/posts", "ana", body={"title": "x"}, idempotency_key=key.encode("latin-1"))  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")


async def test_reads_have_no_use_for_a_key(reading: Api) -> None:
    for path in (f"/posts?id=eq.{P1}", "/rpc/whoami"):
        for _ in range(2):
            answer = await reading("GET", path, "ana", idempotency_key="k")
            assert (answer.status_code, "idempotency-replayed" in answer.headers) == (200, False)


async def test_an_answer_too_long_to_keep_is_refused_with_its_write(api: Api) -> None:
    api.kept = IdempotencySettings(max_answer=100)
    api.cap(1000)
    before = await effects(api)
    answer = await api("POST", "/posts", "ana", body={"title": "x" * 200}, prefer=ROWS, idempotency_key="k")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert await effects(api) == before
    assert (await api("POST", "/posts", "ana", body={"title": "x" * 200}, idempotency_key="k")).status_code == 201


async def test_keys_are_forgotten_when_their_time_is_over(api: Api) -> None:
    async def kept() -> int:
        row = await api.database.fetch_row(Statement("select count(*) from mbaas.kept_answers"))
        return int(row[0] or 0) if row else 0

    for key in ("a", "b"):
        assert (await api("POST", "/posts", "ana", body={"title": "x"}, idempotency_key=key)).status_code == 201
    assert await sweep(api.database) == 0
    await api.database.execute("update mbaas.kept_answers set kept_until = now() - interval '1 second'")
    before = await effects(api)
    answer = await api("POST", "/posts", "ana", body={"title": "other"}, idempotency_key="a")
    assert (answer.status_code, await effects(api)) == (201, before | {"posts": before["posts"] + 1})
    assert (await kept(), await sweep(api.database), await kept()) == (2, 1, 1)


async def test_without_a_key_not_one_statement_is_added(api: Api) -> None:
    statements: list[str] = []
    for link in api.links():
        link.connection.add_query_logger(lambda record: statements.append(record.query))

    async def asked(*request: Any, **more: Any) -> int:
        statements.clear()
        assert (await api(*request, **more)).status_code < 300
        await asyncio.sleep(0)  # the driver tells of a statement in the loop's next turn
        return len(statements)

    assert await asked("POST", "/posts", "ana", body={"title": "x"}) == 1
    assert await asked("PATCH", f"/posts?id=eq.{P1}", "ana", body={"title": "y"}) == 1
    assert await asked("DELETE", f"/posts?id=eq.{P1}", "ana") == 1
    # begin, claim, the write, keep, commit
    assert await asked("POST", "/posts", "ana", body={"title": "x"}, idempotency_key="k") == 5
