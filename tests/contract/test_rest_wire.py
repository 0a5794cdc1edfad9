"""What holds for every request to ``/rest/v1``: keys, headers, origins, and what neither client has a call for."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.contract.conftest import Js
from tests.contract.rest import Case, Python, Scene, by_js, js_cases, py_cases, titles

REST = "/rest/v1"
FIRST = ".from('posts').select('title').like('slug', args.mark + '%').order('title')"


def first(client: Any, scene: Any) -> Any:
    return client.table("posts").select("title").like("slug", f"{scene.mark}%").order("title")


def ok(answer: httpx.Response, status: int = 200) -> httpx.Response:
    assert answer.status_code == status, answer.text
    return answer


def refused(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The body of a refusal: an object with all its keys."""
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert body.keys() == {"code", "message", "details", "hint"}
    if code is not None:
        assert body["code"] == code
    return body


@pytest.fixture
async def me(scene: Scene) -> AsyncIterator[httpx.AsyncClient]:
    """The owner, without any client library."""
    headers = scene.server.headers(scene.owner.token)
    async with httpx.AsyncClient(base_url=scene.server.url + REST, headers=headers, verify=False) as client:
        yield client


@pytest.fixture
async def nobody(scene: Scene) -> AsyncIterator[httpx.AsyncClient]:
    """Someone without any header."""
    async with httpx.AsyncClient(base_url=scene.server.url, verify=False) as client:
        yield client


# --- keys ------------------------------------------------------------------------------------------------------------

KEYS = [
    Case("the public key alone", f"return await c{FIRST}", first, titles("First", "Second"), who="anon"),
    Case("the public key and a user's token", f"return await c{FIRST}", first, titles("Draft", "First", "Second"), who="owner"),
    Case("the service key", f"return await c{FIRST}", first, titles("Draft", "First", "Second"), who="service"),
    Case("a token signed with the project's secret", f"return await c{FIRST}.setHeader('Authorization', 'Bearer ' + args.tokens.good)", lambda c, s: bearer(first(c, s), s.tokens["good"]), titles("Draft", "First", "Second"), who="anon"),
    Case("the public key as a token beside the service key", f"return await c{FIRST}.setHeader('Authorization', 'Bearer ' + anonKey)", lambda c, s: bearer(first(c, s), s.server.anon_key), titles("First", "Second"), who="service"),
    Case("the service key as a token beside the public key", f"return await c{FIRST}.setHeader('Authorization', 'Bearer ' + serviceKey)", lambda c, s: bearer(first(c, s), s.server.service_key), titles("Draft", "First", "Second"), who="anon"),
]  # fmt: skip


def bearer(query: Any, token: str) -> Any:
    query.request.headers["Authorization"] = f"Bearer {token}"
    return query


@js_cases(KEYS)
async def test_js_is_who_its_keys_say(js: Js, scene: Scene, case: Case) -> None:
    case.check(await by_js(js, case, scene), scene)


@py_cases(KEYS)
def test_py_is_who_its_keys_say(py: Python, scene: Scene, case: Case) -> None:
    case.check(py.ask(case, scene), scene)


def opaque(scene: Scene, name: str) -> str:
    found: str = tomllib.loads((scene.server.root / ".mbaas" / "secrets.toml").read_text())[name]
    return found


OPAQUE = [("publishable_key", 2), ("secret_key", 3)]


@pytest.mark.parametrize(("name", "rows"), OPAQUE)
async def test_js_takes_an_opaque_key(js: Js, scene: Scene, name: str, rows: int) -> None:
    answer = await js(f"return await createClient(args.key){FIRST}", key=opaque(scene, name), mark=scene.mark)
    assert (answer["error"], len(answer["data"])) == (None, rows)


@pytest.mark.parametrize(("name", "rows"), OPAQUE)
def test_py_takes_an_opaque_key(py: Python, scene: Scene, name: str, rows: int) -> None:
    assert len(first(py.client(opaque(scene, name), None), scene).execute().data) == rows


async def test_js_with_an_unknown_key_is_401(js: Js) -> None:
    answer = await js("return await createClient('nope').from('posts').select()")
    assert (answer["status"], answer["error"]["message"]) == (401, "Invalid API key")


def test_py_with_an_unknown_key_is_401(py: Python, scene: Scene) -> None:
    case = Case("", None, lambda c, s: py.client("nope", None).table("posts").select("*"), status=401, error={"message": "Invalid API key"})  # fmt: skip
    case.check(py.ask(case, scene), scene)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PATCH", "DELETE"])
async def test_no_key_is_401(nobody: httpx.AsyncClient, method: str) -> None:
    answer = await nobody.request(method, f"{REST}/posts", json={} if method in ("POST", "PATCH") else None)
    assert answer.status_code == 401
    if method != "HEAD":
        assert refused(answer, 401)["message"] == "No API key found in request"


# --- what clients send along -----------------------------------------------------------------------------------------


async def test_js_says_who_it_is_and_may(js: Js, scene: Scene) -> None:
    seen = (await by_js(js, Case("", f"return await c{FIRST}", None), scene)).seen[0]
    assert (seen.status, seen.sent["x-client-info"].split("/")[0]) == (200, "supabase-js")


def test_py_says_who_it_is_and_may(py: Python, scene: Scene) -> None:
    seen = py.ask(Case("", None, first), scene).seen[0]
    assert (seen.status, seen.sent["x-client-info"].split("/")[0]) == (200, "supabase-py")


BUSY = Case("busy", "rpc('busy', {}, {get: true})", lambda c, s: c.rpc("busy", {}, get=True).retry(False), who="anon", status=503, error={"code": "BUSY"})  # fmt: skip


async def test_js_tries_again_when_told_to_come_later(js: Js, scene: Scene) -> None:
    outcome = await by_js(js, BUSY, scene)
    BUSY.check(outcome, scene)
    assert [seen.sent.get("x-retry-count") for seen in outcome.seen] == [None, "1", "2", "3"]
    assert {(seen.status, seen.headers["retry-after"]) for seen in outcome.seen} == {(503, "0")}


def test_py_is_told_to_come_later(py: Python, scene: Scene) -> None:
    BUSY.check(py.ask(BUSY, scene), scene)


async def test_a_retried_request_is_like_any_other(me: httpx.AsyncClient) -> None:
    ok(await me.get("/posts", headers={"x-retry-count": "3", "x-client-info": "anything at all"}))


async def test_names_of_the_schema_are_answered(me: httpx.AsyncClient, scene: Scene) -> None:
    read = ok(await me.get("/posts?limit=1", headers={"accept-profile": "public"}))
    assert read.headers["content-profile"] == "public"
    change = await me.patch(f"/posts?id=eq.{scene.row}", json={"views": 2}, headers={"content-profile": "public"})
    assert ok(change, 204).headers["content-profile"] == "public"
    body = refused(await me.get("/posts", headers={"accept-profile": "nope"}), 406, "PGRST106")
    assert (body["message"], body["hint"]) == ("Invalid schema: nope", "Only the following schemas are exposed: public")


async def test_js_names_the_schema(js: Js, scene: Scene) -> None:
    outcome = await by_js(js, Case("", "schema('public')" + FIRST, None), scene)
    assert (outcome.status, outcome.headers["content-profile"]) == (200, "public")


def test_py_names_the_schema(py: Python, scene: Scene) -> None:
    outcome = py.ask(Case("", None, lambda c, s: first(c.schema("public"), s)), scene)
    assert (outcome.status, outcome.headers["content-profile"]) == (200, "public")


# --- paths and methods -----------------------------------------------------------------------------------------------


async def test_a_name_may_be_encoded(me: httpx.AsyncClient) -> None:
    assert ok(await me.get("/p%6Fsts?limit=1")).json()
    assert ok(await me.post("/rpc/%61dd", json={"a": 1, "b": 2})).json() == 3


@pytest.mark.parametrize("path", ["/posts/1", "/rpc", "/rpc/add/more", "/a/b/c"])
async def test_a_deeper_path_is_404(me: httpx.AsyncClient, path: str) -> None:
    code = "PGRST205" if path == "/rpc" else "PGRST125"
    assert isinstance(refused(await me.get(path), 404, code), dict)


async def test_a_method_nobody_serves_is_405(me: httpx.AsyncClient) -> None:
    refused(await me.request("TRACE", "/posts"), 405, "PGRST117")
    refused(await me.request("PATCH", "/rpc/add", json={}), 405, "PGRST101")


async def test_options_lists_what_rules_allow(me: httpx.AsyncClient, scene: Scene) -> None:
    assert ok(await me.options("/posts")).headers["allow"] == "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE"
    assert ok(await me.options("/post_stats")).headers["allow"] == "OPTIONS,GET,HEAD"
    assert ok(await me.options("/rpc/add")).headers["allow"] == "OPTIONS,GET,HEAD,POST"
    assert ok(await me.options("/rpc/rename_post")).headers["allow"] == "OPTIONS,POST"
    assert (await me.options("/rpc/nope")).json()["code"] == "PGRST202"


HEADS = ["/posts?limit=2", "/posts?select=title&views=gt.5&order=title", "/rpc/numbers?until=3", "/nope", "/posts?x=y", "/posts?limit=-1"]  # fmt: skip


@pytest.mark.parametrize("path", HEADS)
async def test_head_answers_as_get_would(me: httpx.AsyncClient, path: str) -> None:
    got, head = await me.get(path), await me.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    for name in ("content-range", "content-type", "proxy-status"):
        assert head.headers.get(name) == got.headers.get(name)


async def test_a_long_address_is_taken(me: httpx.AsyncClient) -> None:
    many = ",".join(f"title{number}" for number in range(1800))
    assert len(many) > 16_000
    assert ok(await me.get(f"/posts?title=in.({many})")).json() == []


# --- origins ---------------------------------------------------------------------------------------------------------

NEEDED = "authorization apikey content-type accept accept-profile content-profile prefer range range-unit x-client-info x-supabase-api-version x-retry-count x-upsert x-metadata cache-control x-region x-signature tus-resumable upload-length upload-metadata upload-offset upload-defer-length upload-checksum traceparent tracestate baggage"  # fmt: skip
EXPOSED = "content-range content-location range-unit location preference-applied proxy-status x-total-count link x-supabase-api-version x-relay-error sb-error-code upload-offset upload-length upload-expires upload-metadata tus-resumable tus-version tus-extension tus-max-size etag content-disposition"  # fmt: skip


def words(text: str) -> set[str]:
    return {word.strip().lower() for word in text.split(",")}


@pytest.mark.parametrize("prefix", ["rest", "auth", "storage", "functions"])
async def test_a_preflight_allows_what_clients_send(nobody: httpx.AsyncClient, prefix: str) -> None:
    headers = {
        "origin": "https://app.example",
        "access-control-request-method": "PATCH",
        "access-control-request-headers": "apikey,authorization,x-custom",
    }
    answer = await nobody.options(f"/{prefix}/v1/posts", headers=headers)
    assert answer.is_success
    assert answer.headers["access-control-allow-origin"] in ("*", "https://app.example")
    assert words(answer.headers["access-control-allow-methods"]) >= {"get", "head", "post", "put", "patch", "delete", "options"}  # fmt: skip
    assert words(answer.headers["access-control-allow-headers"]) >= {*NEEDED.split(), "x-custom"}


PAGES = [
    Case("an answer", "from('posts').select('title', {count: 'exact'}).limit(1).setHeader('Origin', 'https://app.example')", lambda c, s: with_origin(c.table("posts").select("title", count="exact").limit(1)), status=206),
    Case("an error", "from('nope').select().setHeader('Origin', 'https://app.example')", lambda c, s: with_origin(c.table("nope").select("*")), status=404),
]  # fmt: skip


def with_origin(query: Any) -> Any:
    query.request.headers["Origin"] = "https://app.example"
    return query


def check_origin(headers: dict[str, str]) -> None:
    assert headers["access-control-allow-origin"] in ("*", "https://app.example")
    assert words(headers["access-control-expose-headers"]) >= set(EXPOSED.split())


@js_cases(PAGES)
async def test_js_in_a_page_may_read(js: Js, scene: Scene, case: Case) -> None:
    outcome = await by_js(js, case, scene)
    assert outcome.status == case.status
    check_origin(outcome.headers)


@py_cases(PAGES)
def test_py_with_an_origin_may_read(py: Python, scene: Scene, case: Case) -> None:
    outcome = py.ask(case, scene)
    assert outcome.status == case.status
    check_origin(outcome.headers)


# --- windows by header, and the longest list -------------------------------------------------------------------------


async def test_a_range_header_is_a_window(me: httpx.AsyncClient, scene: Scene) -> None:
    query = f"/posts?select=title&slug=like.{scene.mark}*&order=views"
    answer = ok(await me.get(query, headers={"range": "1-2", "range-unit": "items"}))
    assert (answer.json(), answer.headers["content-range"]) == (titles("Draft", "Second"), "1-2/*")
    open_end = ok(await me.get(query, headers={"range": "1-"}))
    assert open_end.headers["content-range"] == "1-2/*"
    counted = await me.get(query, headers={"range": "0-0", "prefer": "count=exact"})
    assert ok(counted, 206).headers["content-range"] == "0-0/3"
    refused(await me.get(query, headers={"range": "5-9", "prefer": "count=exact"}), 416, "PGRST103")
    refused(await me.get(query, headers={"range": "2-1"}), 416, "PGRST103")


async def test_a_range_header_limits_reading_only(me: httpx.AsyncClient, scene: Scene) -> None:
    headers = {"range": "0-0", "range-unit": "items", "prefer": "return=representation"}
    answer = await me.patch(f"/posts?id=in.({scene.row},{scene.draft})&select=title", json={"state": "ready"}, headers=headers)  # fmt: skip
    assert len(ok(answer).json()) == 2
    back = await me.patch(f"/posts?id=eq.{scene.draft}", json={"state": "draft"})
    assert back.status_code == 204


CAPPED = Case(
    "the longest list",
    "await c.from('drops').insert(Array.from({length: 205}, (_, n) => ({text: String(n)}))); return await c.from('drops').select('text', {count: 'exact'})",
    lambda c, s: c.table("drops").select("text", count="exact"),
    who="service",
    status=206,
)


async def test_js_gets_no_more_than_the_longest_list(js: Js, scene: Scene) -> None:
    outcome = await by_js(js, CAPPED, scene)
    CAPPED.check(outcome, scene)
    assert (len(outcome.data), (outcome.count or 0) >= 205) == (200, True)
    assert outcome.headers["content-range"].startswith("0-199/")


def test_py_gets_no_more_than_the_longest_list(py: Python, scene: Scene) -> None:
    made = py.client(scene.server.service_key, None)
    made.table("drops").insert([{"text": str(number)} for number in range(205)]).execute()
    outcome = py.ask(CAPPED, scene)
    CAPPED.check(outcome, scene)
    assert (len(outcome.data), (outcome.count or 0) >= 205) == (200, True)
    assert outcome.headers["content-range"].startswith("0-199/")


# --- forms of answers ------------------------------------------------------------------------------------------------

ACCEPTS = [
    ("*/*", "application/json; charset=utf-8"),
    ("application/json", "application/json; charset=utf-8"),
    ("text/unknowntype, text/csv", "text/csv; charset=utf-8"),
    ("text/unknowntype, */*", "application/json; charset=utf-8"),
    ("application/json;q=0.1, text/csv", "text/csv; charset=utf-8"),
    ("application/vnd.pgrst.object", "application/vnd.pgrst.object+json; charset=utf-8"),
    ("application/vnd.pgrst.array+json", "application/json; charset=utf-8"),
]


@pytest.mark.parametrize(("accept", "given"), ACCEPTS)
async def test_accept_chooses_the_form(me: httpx.AsyncClient, scene: Scene, accept: str, given: str) -> None:
    answer = ok(await me.get(f"/posts?select=title&id=eq.{scene.first}", headers={"accept": accept}))
    assert answer.headers["content-type"] == given


async def test_no_accept_is_json(nobody: httpx.AsyncClient, scene: Scene) -> None:
    request = nobody.build_request("GET", f"{REST}/posts?limit=1", headers=scene.server.headers())
    del request.headers["accept"]
    assert ok(await nobody.send(request)).headers["content-type"] == "application/json; charset=utf-8"


async def test_old_clients_find_0_rows_in_the_details(me: httpx.AsyncClient, scene: Scene) -> None:
    headers = {"accept": "application/vnd.pgrst.object+json"}
    body = refused(await me.get(f"/posts?id=eq.{scene.new}", headers=headers), 406, "PGRST116")
    assert "contains 0 rows" in body["details"]


async def test_prefer_may_be_repeated(scene: Scene) -> None:
    headers = [*scene.server.headers(scene.owner.token).items(), ("prefer", "return=representation"), ("prefer", "count=exact , something=else")]  # fmt: skip
    async with httpx.AsyncClient(base_url=scene.server.url + REST, headers=headers, verify=False) as client:
        answer = ok(await client.post("/posts?select=title", json={"title": "New"}), 201)
    assert (answer.json(), answer.headers["content-range"]) == (titles("New"), "*/1")
    assert answer.headers["preference-applied"] == "return=representation, count=exact"


async def test_an_empty_answer_is_empty(me: httpx.AsyncClient, scene: Scene) -> None:
    made = ok(await me.post("/posts", json={"title": "New"}), 201)
    assert (made.content, made.headers.get("content-length")) == (b"", "0")
    changed = ok(await me.patch(f"/posts?id=eq.{scene.row}", json={"views": 3}), 204)
    assert (changed.content, changed.headers.get("transfer-encoding"), changed.reason_phrase) == (b"", None, "No Content")  # fmt: skip


# --- forms of bodies -------------------------------------------------------------------------------------------------


async def test_a_body_may_come_in_pieces(me: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"title": "In '
        yield b'pieces"}'

    headers = {"content-type": "application/json", "prefer": "return=representation"}
    answer = ok(await me.post("/posts?select=title", content=pieces(), headers=headers), 201)
    assert "content-length" not in answer.request.headers
    assert answer.json() == titles("In pieces")


async def test_js_may_send_a_body_in_pieces(js: Js, scene: Scene) -> None:
    code = """
    const pieces = (input, init) => fetch(input, {...init, duplex: 'half', body: new Blob([init.body]).stream()});
    const me = createClient(anonKey, {global: {fetch: pieces, headers: {Authorization: 'Bearer ' + args.token}}});
    return await me.from('posts').insert({title: 'In pieces'}).select('title').single()
    """
    assert (await js(code, token=scene.owner.token))["data"] == {"title": "In pieces"}


WANT = {"prefer": "return=representation"}


async def test_csv_is_taken(me: httpx.AsyncClient) -> None:
    body = 'title,body,views\n"a, ""b""",NULL,3\nplain,,4\n'
    answer = await me.post("/posts?select=title,body,views", content=body, headers=WANT | {"content-type": "text/csv"})
    assert ok(answer, 201).json() == [
        {"title": 'a, "b"', "body": None, "views": 3},
        {"title": "plain", "body": "", "views": 4},
    ]


async def test_a_form_is_taken(me: httpx.AsyncClient) -> None:
    answer = await me.post("/posts?select=title,views", data={"title": "A form", "views": "3"}, headers=WANT)
    assert ok(answer, 201).json() == [{"title": "A form", "views": 3}]


@pytest.mark.parametrize("body", ["{", "", "nope", "[1]", '"text"', '{"title": "x"} x'])
async def test_what_is_no_object_is_pgrst102(me: httpx.AsyncClient, body: str) -> None:
    for method in ("POST", "PATCH"):
        path = "/posts" if method == "POST" else "/posts?id=is.null"
        answer = await me.request(method, path, content=body, headers={"content-type": "application/json"})
        refused(answer, 400, "PGRST102")


async def test_unequal_keys_are_pgrst102(me: httpx.AsyncClient) -> None:
    body = refused(await me.post("/posts", json=[{"title": "A"}, {"title": "B", "views": 1}]), 400, "PGRST102")
    assert body["message"] == "All object keys must match"


async def test_columns_name_all_that_is_taken(me: httpx.AsyncClient) -> None:
    row = {"title": "A", "views": 9, "nope": 1}
    answer = await me.post('/posts?columns="title"&select=title,views', json=row, headers=WANT)
    assert ok(answer, 201).json() == [{"title": "A", "views": 0}]
    refused(await me.post("/posts?columns=title,nope", json=row), 400, "PGRST204")
    refused(await me.post("/posts?columns=", json=row), 400, "PGRST100")


@pytest.mark.parametrize("body", ["{}", "[]", "[{}]"])
async def test_an_update_of_nothing_touches_nothing(me: httpx.AsyncClient, scene: Scene, body: str) -> None:
    headers = {"content-type": "application/json"}
    silent = ok(await me.patch(f"/posts?id=eq.{scene.row}", content=body, headers=headers), 204)
    assert (silent.content, silent.headers["content-range"]) == (b"", "*/*")
    told = ok(await me.patch(f"/posts?id=eq.{scene.row}", content=body, headers=headers | WANT))
    assert (told.json(), told.headers["content-range"]) == ([], "*/*")


async def test_a_limited_update_is_refused(me: httpx.AsyncClient, scene: Scene) -> None:
    answer = await me.patch(f"/posts?id=in.({scene.row},{scene.first})&limit=1&order=id", json={"rating": 4.5})
    refused(answer, 400)


# --- functions -------------------------------------------------------------------------------------------------------


async def test_a_repeated_argument_is_variadic(me: httpx.AsyncClient) -> None:
    assert ok(await me.get("/rpc/total?nums=1&nums=2&nums=3")).json() == 6
    assert ok(await me.post("/rpc/total", json={"nums": [1, 2, 3]})).json() == 6


async def test_a_raw_body_is_the_one_unnamed_argument(me: httpx.AsyncClient) -> None:
    answer = await me.post("/rpc/shout", content="hey, you", headers={"content-type": "text/plain"})
    assert ok(answer).json() == "HEY, YOU"
    octets = await me.post("/rpc/weigh", content=b"\x00\xff!", headers={"content-type": "application/octet-stream"})
    assert ok(octets).json() == 3
    answer = await me.post("/rpc/echo", content='[1, {"a": 2}]', headers={"content-type": "application/json"})
    assert ok(answer).json() == [1, {"a": 2}]


async def test_a_call_without_a_body_has_no_arguments(me: httpx.AsyncClient) -> None:
    assert ok(await me.post("/rpc/greet", content=b"")).json() == "hello world"


async def test_a_minimal_call_is_204(me: httpx.AsyncClient) -> None:
    answer = await me.post("/rpc/numbers", json={"until": 3}, headers={"prefer": "return=minimal, count=exact"})
    assert (ok(answer, 204).content, answer.headers["content-range"]) == (b"", "0-2/3")
