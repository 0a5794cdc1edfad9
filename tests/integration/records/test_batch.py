"""``POST /batch/v1``: all or nothing, under the rules of single requests."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from mbaas.config.settings import LimitSettings, RateSettings
from mbaas.core.errors import HookRefused
from mbaas.core.sql.fragment import Statement
from mbaas.hooks.dispatch import Proceed
from mbaas.hooks.events import Record, RecordCreate, RecordCreated
from mbaas.http.ratelimit import RateLimiter
from tests.conftest import SOAK
from tests.integration.records.conftest import Api
from tests.sample import ANA, P1, P2, P4

ROWS = {"prefer": "return=representation"}
FAILING: dict[str, Any] = {"id": "bad", "method": "POST", "path": "/posts", "body": {"title": None}}


def op(method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
    return {"method": method, "path": path} | ({} if body is None else {"body": body}) | more


async def titles(api: Api) -> list[str]:
    return [row["title"] for row in await api.get("/posts?select=title&order=title", "service")]


async def test_later_operations_use_the_results_of_earlier_ones(api: Api) -> None:
    answer = await api.batch(
        "ana",
        op("POST", "/posts?select=id,title,views", {"title": 'a "b", (c)', "published": True}, id="post", headers=ROWS),
        op("POST", "/comments?select=post,body", [
            {"post": {"$ref": "post.0.id"}, "body": {"$ref": "post.0.title"}},
            {"post": {"$ref": "post.0.id"}, "body": "two"},
        ], id="comments", headers=ROWS),
        op("PATCH", "/posts?id=eq.{post.0.id}&select=views", {"views": 7, "meta": {"all": {"$ref": "comments"}}}, headers=ROWS),
        op("POST", "/rpc/bump", {"post": {"$ref": "post.0.id"}}),
        op("GET", '/posts?select=views,meta&or=(id.eq.{post.0.id},title.in.({post.0.title}))', id="end"),
        op("DELETE", "/comments?body=in.({comments.1.body})&post=eq.{post.0.id}"),
        op("GET", "/comments?select=body&post=eq.{post.0.id}&body=eq.{post.0.title}"),
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [201, 201, 200, 204, 200, 204, 200]
    assert [result["id"] for result in results] == ["post", "comments", "2", "3", "end", "5", "6"]
    post = results[0]["body"][0]["id"]
    said = [{"post": post, "body": 'a "b", (c)'}, {"post": post, "body": "two"}]
    assert results[1]["body"] == said
    assert results[4]["body"] == [{"views": 8, "meta": {"all": said}}]
    assert results[5]["body"] is None
    assert results[6]["body"] == [{"body": 'a "b", (c)'}]
    assert results[4]["headers"]["content-range"] == "0-0/*"


async def test_the_first_that_fails_takes_all_back_and_is_named(api: Api) -> None:
    before = await titles(api)
    answer = await api.batch("ana", op("POST", "/posts", {"title": "x"}), FAILING, op("POST", "/posts", {"title": "y"}))
    assert answer.status_code == 400
    said = answer.json()
    assert (said["code"], said["operation"]) == ("23502", {"index": 1, "id": "bad"})
    assert set(said) == {"code", "message", "details", "hint", "operation"}
    assert await titles(api) == before


@pytest.mark.parametrize(
    ("operation", "status", "code"),
    [
        (op("POST", "/posts", {"title": "x", "author": P1}), 403, "42501"),
        (op("PATCH", f"/posts?id=eq.{P4}", {"title": "x"}, headers={"accept": "application/vnd.pgrst.object+json"} | ROWS), 406, "PGRST116"),
        (op("GET", "/diaries"), 404, "PGRST205"),
        (op("GET", "/posts?select=nope"), 400, "42703"),
        (op("GET", "/posts?id=eq.x"), 400, "22P02"),
        (op("GET", "/posts//x"), 400, "PGRST100"),
        (op("GET", "/"), 404, "PGRST125"),
        (op("POST", "/rpc/nope", {}), 404, "PGRST202"),
        (op("POST", "/posts", {"title": "x", "slug": "alpha"}), 409, "23505"),
    ],
)  # fmt: skip
async def test_an_operation_is_refused_as_it_would_be_by_itself(
    api: Api, operation: dict[str, Any], status: int, code: str
) -> None:
    body, headers = operation.get("body"), operation.get("headers", {})
    alone = await api(operation["method"], operation["path"], "ana", body=body, **headers)
    answer = await api.batch("ana", op("POST", "/posts", {"title": "first"}), operation)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json() == alone.json() | {"operation": {"index": 1, "id": "1"}} or "//" in operation["path"]
    assert "first" not in await titles(api)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "no batch"),
        ("[]", "no batch"),
        ('{"operations":[]}', "no operations"),
        ('{"operations":[{"method":"HEAD","path":"/posts"}]}', "no batch"),
        ('{"operations":[{"method":"GET","path":"/posts","other":1}]}', "no batch"),
        ('{"operations":[{"method":"GET","path":"posts"}]}', "no path"),
        ('{"operations":[{"method":"GET","path":"http://x/posts"}]}', "no path"),
        ('{"operations":[{"method":"GET","path":"/posts","body":1}]}', "takes no body"),
        ('{"operations":[{"method":"GET","path":"/posts","headers":{"Authorization":"x"}}]}', "'authorization' means"),
        ('{"operations":[{"method":"GET","path":"/posts","headers":{"Prefer":"a\\nb"}}]}', "no header's"),
        ('{"operations":[{"method":"GET","path":"/posts","id":"1"}]}', "cannot be used"),
        ('{"operations":[{"method":"GET","path":"/posts","id":"a"},{"method":"GET","path":"/posts","id":"a"}]}', "Two"),
        ('{"operations":[{"method":"GET","path":"/posts?id=eq.{later.0.id}"}]}', "no earlier"),
        ('{"operations":[{"method":"POST","path":"/posts","body":{"a":{"$ref":"0.0"}}}]}', "no earlier"),
        ('{"operations":[{"method":"POST","path":"/posts","body":{"a":{"$ref":1}}}]}', "a text"),
        ('{"operations":[{"method":"POST","path":"/posts","body":{"a":{"$ref":""}}}]}', "no reference"),
        ('{"operations":[{"method":"GET","path":"/posts"},{"method":"GET","path":"/posts?select={0.0.id}"}]}', "no value"),
        ('{"operations":[{"method":"GET","path":"/posts"},{"method":"GET","path":"/posts?id={0.0.id}"}]}', "no value"),
        ('{"operations":[{"method":"GET","path":"/posts"},{"method":"GET","path":"/posts?limit={0.0.id}"}]}', "no value"),
    ],
)  # fmt: skip
async def test_a_batch_that_is_none_is_refused_before_anything_runs(reading: Api, body: str, said: str) -> None:
    answer = await reading("POST", "/batch/v1", "ana", body=body)
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["message"]
    assert "operation" not in answer.json()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/posts?id=eq.{0.7.id}", "nothing at '7'"),
        ("/posts?id=eq.{0.0.nope}", "nothing at '0.nope'"),
        ("/posts?id=eq.{0.0}", "no single value"),
        ("/posts?id=eq.{0.0.editor}", "is null"),
    ],
)
async def test_a_reference_to_what_is_not_there_is_refused(reading: Api, path: str, said: str) -> None:
    answer = await reading.batch("ana", op("GET", f"/posts?select=id,editor&id=eq.{P2}"), op("GET", path))
    assert answer.status_code == 400
    assert answer.json()["code"] == "batch_reference_invalid"
    assert said in answer.json()["message"]
    assert answer.json()["operation"] == {"index": 1, "id": "1"}


async def test_a_value_with_many_digits_arrives_with_all_of_them(api: Api) -> None:
    big = "123456789012345678901234567890.5"
    answer = await api.batch(
        "ana",
        op("POST", "/rpc/echo", {"n": {"$raw": {"$ref": 1}}}),
        {
            "method": "POST",
            "path": "/posts?select=meta",
            "headers": ROWS,
            "body": {"title": "x", "meta": {"$ref": "0"}},
        },
    )
    assert answer.json()["results"][1]["body"] == [{"meta": {"n": {"$ref": 1}}}]
    raw = '{"operations":[{"method":"POST","path":"/rpc/echo","body":{"n":BIG}},'.replace("BIG", big)
    raw += '{"method":"POST","path":"/rpc/echo","body":{"m":{"$ref":"0.n"}}}]}'
    answer = await api("POST", "/batch/v1", "ana", body=raw)
    assert f'"body":{{"m":{big}}}' in answer.text


async def test_hooks_run_in_the_transaction_and_after_hooks_once_all_is_committed(api: Api) -> None:
    told: list[list[str]] = []

    @api.hooks.around(RecordCreate, only="posts")
    async def around(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        if event.values["title"] == "no":
            raise HookRefused("not this one", status=422)
        # what the operation before it wrote is there already
        seen = await event.transaction.fetch("select count(*) as n from posts where title = 'one'")
        stored = await proceed(event)
        return stored if seen[0]["n"] or event.values["title"] == "one" else {}

    @api.hooks.after(RecordCreated, only="posts")
    async def after(event: RecordCreated) -> None:
        told.append([record["title"] for record in event.records])

    refused = await api.batch("ana", op("POST", "/posts", {"title": "one"}), op("POST", "/posts", {"title": "no"}))
    await api.hooks.settle()
    assert (refused.status_code, refused.json()["operation"]["index"], told) == (422, 1, [])
    assert "one" not in await titles(api)
    done = await api.batch("ana", op("POST", "/posts", {"title": "one"}), op("POST", "/posts", {"title": "two"}))
    await api.hooks.settle()
    assert (done.status_code, told) == (200, [["one"], ["two"]])
    assert {"one", "two"} <= set(await titles(api))


async def test_the_rights_of_a_call_end_with_it(api: Api) -> None:
    """A function runs as the caller; the statements after it are the server's again, may write, and find their tables."""
    await api.database.execute(
        "create or replace function whoami() returns jsonb language sql stable as $$ select auth.jwt() from "
        "set_config('search_path', 'pg_catalog', true) $$; "
        "grant execute on function whoami() to anon, authenticated"
    )
    answer = await api.batch(
        "ana",
        op("GET", "/rpc/whoami"),
        op("POST", "/rpc/bump", {"post": P1}),
        op("POST", "/posts", {"title": "after"}),
        op("GET", "/rpc/visible_posts?select=title&title=eq.after"),
        op("GET", f"/posts?select=views&id=eq.{P1}"),
    )
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert results[0]["body"]["sub"] == ANA
    assert results[3]["body"] == [{"title": "after"}]
    assert results[4]["body"] == [{"views": 11}]


async def test_a_function_got_writes_nothing_in_a_batch_either_and_costs_no_connection(api: Api) -> None:
    alone = await api("GET", f"/rpc/bump?post={P1}", "ana")
    generation = api.database._pool._generation
    answer = await api.batch("ana", op("GET", f"/rpc/bump?post={P1}"))
    assert answer.status_code == alone.status_code == 405, answer.text
    assert answer.json()["code"] == alone.json()["code"] == "25006"
    assert api.database._pool._generation == generation, "it was taken for a server that takes no writes any more"


async def test_a_batch_that_takes_too_long_as_a_whole_is_rolled_back(api: Api) -> None:
    await api.database.execute(
        "create or replace function words() returns setof text language sql stable as "
        "$$ select 'x' from pg_sleep(0.2) $$; grant execute on function words() to anon, authenticated"
    )
    api.database._timeout_of["authenticated"] = 0.5
    answer = await api.batch("ana", op("POST", "/posts", {"title": "x"}), *[op("GET", "/rpc/words")] * 20)
    assert (answer.status_code, answer.json()["code"]) == (500, "57014")
    assert answer.json()["operation"]["index"] in (1, 2, 3)
    assert "x" not in await titles(api)


async def test_a_batch_has_only_so_many_operations_and_they_all_count(api: Api) -> None:
    api.limits = LimitSettings(batch_operations=3)
    api.cap(1000)
    answer = await api.batch("ana", *[op("GET", "/posts")] * 4)
    assert (answer.status_code, answer.json().get("message")) == (413, "A batch has at most 3 operations")
    for rate in (RateSettings(per_ip=2), RateSettings(per_user=2)):
        api.rates = RateLimiter(rate)
        api.cap(1000)
        assert (await api.batch("ana", *[op("GET", "/posts")] * 3)).status_code == 200
        assert (await api.batch("ana", *[op("GET", "/posts")] * 2)).status_code == 200
        limited = await api.batch("ana", *[op("GET", "/posts")] * 3)
        assert (limited.status_code, "retry-after" in limited.headers) == (429, True)


async def test_what_references_make_of_a_body_is_measured(api: Api) -> None:
    wide = {"meta": ["x" * 1000] * 500}
    answer = await api.batch(
        "ana", op("POST", "/rpc/echo", wide), op("POST", "/rpc/echo", {"all": [{"$ref": "0"}] * 1000})
    )
    assert (answer.status_code, answer.json()["operation"]["index"]) == (413, 1)


async def test_two_batches_that_wait_for_each_other_both_pass(api: Api) -> None:
    def both(first: str, second: str) -> list[dict[str, Any]]:
        return [op("PATCH", f"/posts?id=eq.{one}", {"views": 1}) for one in (first, second)]

    answers = await asyncio.gather(api.batch("service", *both(P1, P2)), api.batch("service", *both(P2, P1)))
    assert [answer.status_code for answer in answers] == [200, 200]


def any_operation(dice: random.Random, number: int) -> dict[str, Any]:
    """One that passes by itself, of any kind, with ids that do not depend on chance."""
    new = f"20000000-0000-4000-8000-{number:012}"
    some = dice.choice([P1, P2, *(f"20000000-0000-4000-8000-{earlier:012}" for earlier in range(number))])
    return dice.choice([
        op("POST", "/posts?select=id,title,loud", {"id": new, "title": f"t{number}"}, headers=ROWS),
        op("POST", "/posts", [{"id": new, "title": "a", "published": True}]),
        op("POST", "/posts", {"id": some, "title": "merged"}, headers={"prefer": "resolution=merge-duplicates"}),
        op("POST", "/posts", {"id": some, "title": "ignored"}, headers={"prefer": "resolution=ignore-duplicates,count=exact"}),
        op("PUT", f"/profiles?id=eq.{ANA}&select=username", {"id": ANA, "username": f"ana{number}"}, headers=ROWS),
        op("PATCH", f"/posts?id=eq.{some}&select=views", {"views": number}, headers=ROWS),
        op("PATCH", "/posts?views=lt.15", {"body": f"b{number}"}, headers={"prefer": "count=exact"}),
        op("DELETE", f"/posts?id=eq.{some}&select=id", headers=ROWS),
        op("POST", "/rpc/bump", {"post": some}),
        op("GET", "/posts?select=title,views,comments(body)&order=id&limit=3", headers={"prefer": "count=exact"}),
        op("GET", "/posts?select=title&order=title", headers={"accept": "text/csv"}),
        op("GET", "/rpc/visible_posts?select=title,views"),
    ])  # fmt: skip


@pytest.mark.parametrize("seed", range(200 if SOAK else 6))
async def test_a_batch_does_and_says_what_its_requests_would_one_by_one(api: Api, twin: Api, seed: int) -> None:
    dice = random.Random(seed)
    operations = [any_operation(dice, number) for number in range(12)]
    answer = await twin.batch("ana", *operations)
    assert answer.status_code == 200, answer.text
    for one, said in zip(operations, answer.json()["results"], strict=True):
        alone = await api(one["method"], one["path"], "ana", body=one.get("body"), **one.get("headers", {}))
        plain = "json" not in alone.headers.get("content-type", "")
        body = None if not alone.content else alone.text if plain else alone.json()
        assert (said["status"], said["body"]) == (alone.status_code, body), one
        assert said["headers"] == {k: v for k, v in alone.headers.items() if k != "content-length"}, one
    everything = Statement(
        "select json_agg(p order by id)::text from (select id, title, views, body, published from posts) as p "
        "union all select json_agg(p order by id)::text from profiles as p"
    )
    assert await api.database.fetch_rows(everything) == await twin.database.fetch_rows(everything)


async def test_other_methods_and_paths_are_none_of_it(reading: Api) -> None:
    assert (await reading("GET", "/batch/v1", "ana")).status_code == 405
    assert (await reading("OPTIONS", "/batch/v1", "ana")).headers["allow"] == "OPTIONS,POST"
