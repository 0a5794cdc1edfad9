"""``Idempotency-Key`` and ``/batch/v1`` as clients meet them: supabase-js, supabase-py, our own, and plain HTTP."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from mbaas_sdk import Client, Conflict, MbaasError, Operation, ref
from tests.contract.conftest import Js, Server, World
from tests.contract.rest import Python, Scene


def post(scene: Scene, slug: str) -> dict[str, Any]:
    return {"title": "Once", "slug": slug, "author": scene.owner.id}


async def test_js_a_key_makes_one_write_of_two(js: Js, scene: Scene) -> None:
    said = await js(
        """
        const c = createClient(anonKey, {global: {headers: {Authorization: 'Bearer ' + args.token}}});
        const write = (row) => c.from('posts').insert(row).select('id,slug').setHeader('Idempotency-Key', args.key);
        return [await write(args.row), await write(args.row), await write({...args.row, title: 'Other'})];
        """,
        token=scene.token("owner"),
        key=str(uuid.uuid4()),
        row=post(scene, scene.new),
    )
    first, again, other = said
    assert (first["status"], first["error"]) == (201, None)
    assert (again["status"], again["data"]) == (201, first["data"])
    assert (other["status"], other["error"]["code"]) == (422, "idempotency_key_reused")


def test_py_a_key_makes_one_write_of_two(py: Python, scene: Scene) -> None:
    client = py.client(scene.server.anon_key, scene.token("owner"))
    key = str(uuid.uuid4())

    def write() -> Any:
        query = client.table("posts").insert(post(scene, scene.new))
        query.request.headers["Idempotency-Key"] = key
        return query.execute().data

    assert write() == write()
    assert py.seen[-1].headers["idempotency-replayed"] == "true"


def test_a_browser_may_send_a_key_and_see_that_an_answer_is_repeated(server: Server, shared: World) -> None:
    asked = {"origin": "https://app.example", "access-control-request-method": "POST",
             "access-control-request-headers": "idempotency-key"}  # fmt: skip
    preflight = httpx.options(f"{server.url}/batch/v1", headers=asked)
    assert "idempotency-key" in preflight.headers["access-control-allow-headers"]
    answer = httpx.post(
        f"{server.url}/batch/v1",
        json={"operations": [{"method": "GET", "path": "/posts?limit=1"}]},
        headers={"origin": "https://app.example", **server.headers(shared.owner.token)},
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json; charset=utf-8")
    assert "idempotency-replayed" in answer.headers["access-control-expose-headers"]


@pytest.fixture
def sdk(server: Server, shared: World) -> Any:
    with Client(server.url, server.anon_key) as client:
        client.auth.sign_in(email=shared.owner.email, password=shared.owner.password)
        yield client


def test_our_client_sends_batches(sdk: Client, scene: Scene) -> None:
    operations = (
        Operation(id="post", method="POST", path="/posts?select=id", body=post(scene, scene.new),
                  headers={"prefer": "return=representation"}),
        Operation(method="POST", path="/comments", body={"post": ref("post.0.id"), "body": "first"}),
        Operation(method="GET", path="/comments?select=body&post=eq.{post.0.id}"),
    )  # fmt: skip
    key = str(uuid.uuid4())
    results = sdk.batch(*operations, key=key)
    assert [result.status for result in results] == [201, 201, 200]
    assert results[2].body == [{"body": "first"}]
    assert sdk.batch(*operations, key=key) == results
    with pytest.raises(Conflict) as refused:
        sdk.batch(
            Operation(method="DELETE", path=f"/posts?slug=eq.{scene.new}"),
            *[Operation(method="POST", path="/posts", body=post(scene, scene.new))] * 2,
        )
    assert refused.value.code == "23505"
    assert len(sdk.collection("posts").where("slug", "eq", scene.new).fetch().records) == 1


def test_our_client_writes_once(sdk: Client, scene: Scene) -> None:
    posts = sdk.collection("posts").once(str(uuid.uuid4()))
    assert posts.insert(post(scene, scene.new)) == posts.insert(post(scene, scene.new))
    with pytest.raises(MbaasError, match="another request"):
        posts.insert(post(scene, "other"))


def test_a_batch_with_a_token_that_does_not_hold_is_refused(server: Server, scene: Scene) -> None:
    body = {"operations": [{"method": "GET", "path": "/posts"}]}
    for token in ("expired", "forged", "roleless", "garbage"):
        answer = httpx.post(f"{server.url}/batch/v1", json=body, headers=server.headers(scene.tokens[token]))
        assert answer.status_code == 401
        assert answer.json()["code"] in ("PGRST301", "PGRST303")
    answer = httpx.post(f"{server.url}/batch/v1", json=body)
    assert answer.status_code == 401


def test_a_key_may_come_once(server: Server, shared: World) -> None:
    headers = [*server.headers(shared.owner.token).items(), ("idempotency-key", "a"), ("idempotency-key", "b")]
    answer = httpx.post(f"{server.url}/rest/v1/posts", json={"title": "x"}, headers=headers)
    assert (answer.status_code, "idempotency-key" in answer.json()["message"]) == (400, True)
