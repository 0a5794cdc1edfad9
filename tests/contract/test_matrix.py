"""Actor x operation x path, made from the schema, against an oracle that knows nothing of rules, SQL or this server.

The oracle below is plain Python about who may do what in each collection. The matrix asks the running server by every
path that reaches a row and compares; after each write it looks at the table with the service key.
"""

from __future__ import annotations

import base64
import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from mbaas.adapters.secrets import load_or_create
from mbaas.config.load import load
from tests.contract.conftest import Server, running
from tests.throwaway import throw_away_directory

HERE = Path(__file__).parent
CATALOG = load(HERE / "matrix" / "mbaas.toml", {}).catalog
COLLECTIONS = sorted(name for name, made in CATALOG.collections.items() if made.field("sealed"))
ACTORS = ["anon", "owner", "other", "service", "expired"]
Row = dict[str, Any]


@dataclass
class Scene:
    """One server with two users, a hub that only the owner is a member of, and three rows in every collection."""

    server: Server
    tokens: dict[str, str]
    people: dict[str, str]
    hubs: dict[str, str]
    rows: dict[str, dict[str, Row]] = field(default_factory=dict)
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    def client(self, actor: str) -> httpx.Client:
        """The one of that actor, which keeps its connection."""
        if actor not in self.clients:
            self.clients[actor] = self._connected(actor)
        return self.clients[actor]

    def _connected(self, actor: str) -> httpx.Client:
        headers = self.server.headers(key=self.server.service_key)
        if actor != "service":
            headers = self.server.headers(self.tokens.get(actor))
        return httpx.Client(base_url=self.server.url + "/rest/v1", headers=headers)


# --- the oracle ------------------------------------------------------------------------------------------------------


class Oracle:
    """Who may do what, said once more, independently."""

    def __init__(self, scene: Scene, actor: str) -> None:
        self.scene, self.actor = scene, actor
        self.me = scene.people.get(actor)

    def member(self, row: Row) -> bool:
        return self.actor == "owner" and row["hub"] == self.scene.hubs["open"]

    def select(self, collection: str, row: Row) -> bool:
        if self.actor == "service":
            return True
        mine = self.me is not None and row["author"] == self.me
        return {
            "mine": mine,
            "articles": row["published"] or mine,
            "rooms": self.member(row),
            "notices": True,
            "vault": False,
            "dropbox": False,
            "claimed": self.me is not None,
        }[collection]

    def insert(self, collection: str, row: Row) -> bool:
        if self.actor == "service":
            return True
        mine = self.me is not None and row["author"] == self.me
        return {"mine": mine, "articles": mine, "rooms": mine and self.member(row), "dropbox": mine}.get(
            collection, False
        )

    def change(self, collection: str, row: Row, operation: str) -> bool:
        """May an existing row be updated or deleted; the row must be visible as well."""
        if self.actor == "service":
            return True
        mine = self.me is not None and row["author"] == self.me
        writable = {"mine", "articles"} | ({"rooms"} if operation == "update" else set())
        return collection in writable and mine and self.select(collection, row)


# --- the scene -------------------------------------------------------------------------------------------------------


def forged(server: Server, claims: dict[str, Any]) -> str:
    """A token signed with the project's own shared secret."""
    secrets = load_or_create(server.root / ".mbaas" / "secrets.toml")
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secrets.jwt_secret))


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with throw_away_directory("mbaas-matrix-") as name:
        root = Path(name)
        shutil.copytree(HERE / "matrix", root, dirs_exist_ok=True)
        with running(root) as server:
            made = furnish(server)
            yield made
            for client in made.clients.values():
                client.close()


def furnish(server: Server) -> Scene:
    tokens, people = {}, {}
    with httpx.Client(base_url=server.url, headers=server.headers()) as client:
        for actor in ("owner", "other"):
            body = {"email": f"{actor}@example.com", "password": "correct horse battery"}
            session = client.post("/auth/v1/signup", json=body).json()
            tokens[actor], people[actor] = session["access_token"], session["user"]["id"]
    past = {
        "sub": people["owner"],
        "role": "authenticated",
        "aud": "authenticated",
        "iat": 1_000_000_000,
        "exp": 1_000_003_600,
    }
    tokens["expired"] = forged(server, past)
    made = Scene(server, tokens, people, {})
    client = made.client("service")
    for hub in ("open", "closed"):
        made.hubs[hub] = create(client, "hubs", {"name": hub})["id"]
    create(client, "members", {"hub": made.hubs["open"], "person": people["owner"]})
    reset(made, *COLLECTIONS)
    return made


def create(client: httpx.Client, collection: str, body: Row) -> Row:
    answer = client.post(f"/{collection}", json=body, headers={"prefer": "return=representation"})
    assert answer.status_code == 201, answer.text
    return answer.json()[0]  # type: ignore[no-any-return]


def reset(scene: Scene, *collections: str) -> None:
    """Three rows in the collection: the owner's published and private one, the other's private one."""
    client = scene.client("service")
    rows = [
        {"author": scene.people[who], "hub": scene.hubs[hub], "title": label,
         "published": published, "private": f"p-{label}", "sealed": "s"}
        for label, who, hub, published in (
            ("public", "owner", "open", True), ("private", "owner", "open", False), ("foreign", "other", "closed", False),
        )
    ]  # fmt: skip
    for name in collections:
        client.delete(f"/{name}?id=not.is.null").raise_for_status()
        made = client.post(f"/{name}", json=rows, headers={"prefer": "return=representation"})
        assert made.status_code == 201, made.text
        scene.rows[name] = {row["title"]: row for row in made.json()}


def table(scene: Scene, collection: str) -> dict[str, Row]:
    client = scene.client("service")
    return {row["id"]: row for row in client.get(f"/{collection}").json()}


STRIPPED = "application/vnd.pgrst.array+json;nulls=stripped"

# --- reading ---------------------------------------------------------------------------------------------------------


def seen_by_every_path(client: httpx.Client, collection: str, row: Row) -> dict[str, bool]:
    """Whether the row shows, by each path that could show it."""
    one = f"id=eq.{row['id']}"
    total = (
        client.get(f"/{collection}?{one}", headers={"prefer": "count=exact"}).headers["content-range"].partition("/")[2]
    )
    head = (
        client.head(f"/{collection}?{one}", headers={"prefer": "count=planned"})
        .headers["content-range"]
        .partition("/")[2]
    )
    single = client.get(f"/{collection}?{one}", headers={"accept": "application/vnd.pgrst.object+json"})
    rpc = client.post(f"/rpc/all_{collection}?{one}", json={})
    embedded = client.get(f"/hubs?select=id,{collection}(id)&{collection}.{one}")
    inner = client.get(f"/hubs?select=id,{collection}!inner(id)&{collection}.{one}")
    exists = client.get(f"/hubs?select=id,{collection}()&{collection}.{one}&{collection}=not.is.null")
    got = client.get(f"/rpc/all_{collection}?{one}")
    spread = client.get(f"/hubs?select=found:id,...{collection}(id)&{collection}.{one}")
    near = f"near_{collection}"
    computed = client.get(f"/hubs?select={near}(id)&{near}.{one}")
    computed_inner = client.get(f"/hubs?select={near}!inner(id)&{near}.{one}")
    computed_count = client.get(f"/hubs?select={near}(count)&{near}.{one}")
    peek = f"peek_{collection}=like.{row['title']}*"
    estimates = {
        kind: client.get(f"/{collection}?{one}&limit=0", headers={"prefer": f"count={kind}"})
        for kind in ("planned", "estimated")
    }
    aggregates = {}
    grouped = client.get(f"/{collection}?{one}&select=title,count()")
    if grouped.status_code != 400 or grouped.json()["code"] != "PGRST123":
        lifted = client.get(f"/hubs?select=id,{collection}(title.max())&{collection}.{one}")
        aggregates = {
            "grouped": bool(grouped.json()),
            "count of rows": client.get(f"/{collection}?{one}&select=count()").json() == [{"count": 1}],
            "having": bool(client.get(f"/{collection}?{one}&select=title,count()&having=count.gt.0").json()),
            "maximum": client.get(f"/{collection}?{one}&select=id::text.max()").json() == [{"max": row["id"]}],
            "maximum inside an embed": any(hub[collection][0]["max"] for hub in rows_of(lifted)),
        }
    alone = batch(client, {"method": "GET", "path": f"/{collection}?{one}"})
    chained = batch(
        client,
        {"method": "GET", "path": f"/{collection}?select=id&{one}", "id": "first"},
        {"method": "GET", "path": f"/{collection}?select=id&id=eq.{{first.0.id}}"},
    )
    beyond = {
        "by cursor": row["id"] in paged(client, f"/{collection}?select=id&limit=1&cursor=*"),
        "by cursor and title": row["id"] in paged(client, f"/{collection}?select=id&limit=1&order=title.desc&cursor="),
        "search": rows_of(client.get(f"/{collection}?select=id&search={row['title']}")) == [{"id": row["id"]}],
        "near": row["id"] in {one["id"] for one in client.get(f"/{collection}?near=meaning.[1,0.1]").json()},
        "within": row["id"] in {one["id"] for one in client.get(f"/{collection}?within=place.(52.5,13.4,1m)").json()},
        "in a batch": bool(alone.json()["results"][0]["body"]),
        "by a reference in a batch": chained.status_code == 200,
        **seen_by_graphql(client, collection, row),
    }
    return (
        aggregates
        | beyond
        | {
            "spread": any(row["id"] in hub["id"] for hub in rows_of(spread)),
            "computed relation": any(hub[near] for hub in rows_of(computed)),
            "inner join of a computed relation": bool(rows_of(computed_inner)),
            "count of a computed relation": any(hub[near][0]["count"] for hub in rows_of(computed_count)),
            "computed field": bool(client.get(f"/{collection}?{one}&{peek}").json()),
            "planned": estimates["planned"].headers["content-range"] == "*/1",
            "estimated": estimates["estimated"].headers["content-range"] == "*/1",
            "without nulls": bool(client.get(f"/{collection}?{one}", headers={"accept": STRIPPED}).json()),
            "function by GET": got.status_code == 200 and bool(got.json()),
            "by id": bool(client.get(f"/{collection}?{one}").json()),
            "in the list": row["id"] in {item["id"] for item in client.get(f"/{collection}?order=title").json()},
            "counted": total == "1",
            "counted by HEAD": head == "1",
            "single": single.status_code == 200,
            "csv": row["id"] in client.get(f"/{collection}?select=id", headers={"accept": "text/csv"}).text,
            "or": bool(client.get(f"/{collection}?or=(id.eq.{row['id']},id.eq.{uuid.uuid4()})").json()),
            "renamed and cast": row["id"]
            in {item["x"] for item in client.get(f"/{collection}?select=x:id::text").json()},
            "embedded": any(hub[collection] for hub in rows_of(embedded)),
            "inner join": bool(rows_of(inner)),
            "existence of an embed": bool(rows_of(exists)),
            "function of the caller": rpc.status_code == 200 and bool(rpc.json()),
        }
    )


def graphql(client: httpx.Client, query: str, **variables: Any) -> Any:
    """The data; ``None`` when it was refused, or asks for what the role's schema has not."""
    body = {"query": query, "variables": variables}
    answer = client.post(client.base_url.copy_with(path="/graphql/v1"), json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    if "errors" in found:
        assert found["errors"][0]["extensions"]["code"] in ("rule_refused", "graphql_invalid"), found
    return found.get("data")


def seen_by_graphql(client: httpx.Client, collection: str, row: Row) -> dict[str, bool]:
    """As ``seen_by_every_path``, through the paths that lead from GraphQL."""
    one = {"id": row["id"]}
    name = f"{collection}Collection"
    root = graphql(
        client,
        f"query ($id: UUID!) {{ {name}(filter: {{id: {{eq: $id}}}}) {{ totalCount edges {{ node {{ id }} }} }} }}",
        **one,
    )
    by_key = graphql(client, f"query ($id: UUID!) {{ {collection}ByPk(id: $id) {{ nodeId }} }}", **one)
    hub = graphql(
        client,
        f"query ($id: UUID!) {{ hubsCollection {{ edges {{ node {{ {name}(filter: {{id: {{eq: $id}}}}) {{ "
        "totalCount edges { node { id } } } } } } }",
        **one,
    )
    below = [] if hub is None else [edge["node"][name] for edge in hub["hubsCollection"]["edges"]]
    node_id = base64.b64encode(json.dumps(["public", collection, row["id"]]).encode()).decode()
    node = graphql(client, "query ($n: ID!) { node(nodeId: $n) { nodeId } }", n=node_id)
    return {
        "graphql: a list": root is not None and bool(root[name]["edges"]),
        "graphql: counted": root is not None and root[name]["totalCount"] == 1,
        "graphql: by key": by_key is not None and by_key[f"{collection}ByPk"] is not None,
        "graphql: by node id": node["node"] is not None,
        "graphql: below another": any(one["edges"] for one in below),
        "graphql: counted below another": any(one["totalCount"] for one in below),
    }


@pytest.mark.parametrize("actor", [actor for actor in ACTORS if actor != "expired"])
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_every_path_shows_the_same_rows(scene: Scene, collection: str, actor: str) -> None:
    oracle = Oracle(scene, actor)
    client = scene.client(actor)
    for label, row in scene.rows[collection].items():
        expected = oracle.select(collection, row)
        seen = seen_by_every_path(client, collection, row)
        assert seen == dict.fromkeys(seen, expected), label


@pytest.mark.parametrize("actor", [actor for actor in ACTORS if actor != "expired"])
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_masked_and_hidden_fields_never_show(scene: Scene, collection: str, actor: str) -> None:
    oracle = Oracle(scene, actor)
    client = scene.client(actor)
    for row in client.get(f"/{collection}").json():
        own = actor == "service" or row["author"] == oracle.me
        assert row["private"] == (f"p-{row['title']}" if own else None)
        assert ("sealed" in row) == (actor == "service")
    for row in client.get(f"/{collection}?select=title,author,peek_{collection}").json():
        own = actor == "service" or row["author"] == oracle.me
        shown = [row["title"], *([f"p-{row['title']}"] if own else []), *(["s"] if actor == "service" else [])]
        assert row[f"peek_{collection}"] == ":".join(shown)
    found = {row["title"] for row in client.get(f"/{collection}?private=like.p-*").json()}
    visible = [row for row in scene.rows[collection].values() if oracle.select(collection, row)]
    assert found == {row["title"] for row in visible if actor == "service" or row["author"] == oracle.me}
    listed = graphql(client, f"{{ {collection}Collection {{ edges {{ node {{ title author private }} }} }} }}")
    for edge in [] if listed is None else listed[f"{collection}Collection"]["edges"]:
        own = actor == "service" or edge["node"]["author"] == oracle.me
        assert edge["node"]["private"] == (f"p-{edge['node']['title']}" if own else None)
    for query in ('(filter: {sealed: {eq: "s"}}) { totalCount }', "{ edges { node { sealed } } }"):
        known = graphql(client, f"{{ {collection}Collection{query} }}")
        assert (known is not None) == (actor == "service"), query
    for query in (
        "sealed=eq.s",
        "select=sealed",
        "order=sealed",
        "or=(sealed.eq.s,title.eq.x)",
        "select=x:sealed::text",
    ):
        assert client.get(f"/{collection}?{query}").status_code == (200 if actor == "service" else 400), query


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_an_expired_token_opens_nothing(scene: Scene, collection: str) -> None:
    row = scene.rows[collection]["public"]
    client = scene.client("expired")
    for method in ("GET", "HEAD", "POST", "PATCH", "DELETE"):
        answer = client.request(
            method, f"/{collection}?id=eq.{row['id']}", json=None if method in {"GET", "HEAD"} else {}
        )
        assert answer.status_code == 401
        if method != "HEAD":
            assert (answer.json()["code"], answer.json()["message"]) == ("PGRST303", "JWT expired")
    assert client.post(f"/rpc/all_{collection}", json={}).status_code == 401
    assert table(scene, collection)[row["id"]]["title"] == "public"


def paged(client: httpx.Client, path: str) -> set[str]:
    """The ids on all pages."""
    found: set[str] = set()
    while path:
        answer = client.get(path)
        found |= {row["id"] for row in rows_of(answer)}
        link = answer.headers.get("link")
        path = path.partition("?")[0] + link[1:].partition(">")[0] if link else ""
    return found


def batch(client: httpx.Client, *operations: Row) -> httpx.Response:
    return client.post(str(client.base_url).replace("/rest/", "/batch/"), json={"operations": operations})


def rows_of(answer: httpx.Response) -> list[Row]:
    """The rows; none for a collection that the caller cannot even name, or that a function may not read for it."""
    if answer.status_code in {400, 401, 403}:
        assert answer.json()["code"] == ("PGRST200" if answer.status_code == 400 else "42501")
        return []
    assert answer.status_code == 200
    return answer.json()  # type: ignore[no-any-return]


# --- writing ---------------------------------------------------------------------------------------------------------

PREFERS = ["return=minimal", "return=representation"]


@pytest.mark.parametrize("prefer", PREFERS)
@pytest.mark.parametrize("path", ["one", "bulk", "upsert", "graphql"])
@pytest.mark.parametrize("actor", [actor for actor in ACTORS if actor != "expired"])
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_inserts(scene: Scene, collection: str, actor: str, path: str, prefer: str) -> None:
    oracle = Oracle(scene, actor)
    before = table(scene, collection)
    for who in ("owner", "other"):
        for hub in scene.hubs.values():
            row = {"id": str(uuid.uuid4()), "author": scene.people[who], "hub": hub, "title": "new", "published": False}
            allowed = oracle.insert(collection, row)
            if prefer == "return=representation":
                allowed = allowed and oracle.select(collection, row)
            body: Any = row
            if path == "bulk" and actor in scene.people:
                body = [row, {**row, "id": str(uuid.uuid4())}]
            headers = {"prefer": prefer + (",resolution=merge-duplicates" if path == "upsert" else "")}
            client = scene.client(actor)
            if path == "graphql":
                shown = "records { id }" if prefer == "return=representation" else ""
                done = graphql(
                    client,
                    f"mutation ($o: [{collection}InsertInput!]!) {{ insertInto{collection}Collection(objects: $o) {{ affectedCount {shown} }} }}",
                    o=[body],
                )
            else:
                answer = client.post(f"/{collection}", json=body, headers=headers)
            after = table(scene, collection)
            if path == "graphql":
                assert (done is not None, row["id"] in after) == (allowed, allowed)
                assert allowed or after == before
            elif allowed:
                assert answer.status_code == 201, answer.text
                assert row["id"] in after
            else:
                assert (answer.status_code, answer.json()["code"]) == (401 if actor == "anon" else 403, "42501")
                assert after == before
            before = after
    reset(scene, collection)


@pytest.mark.parametrize("prefer", [*PREFERS, "graphql"])
@pytest.mark.parametrize("operation", ["update", "delete"])
@pytest.mark.parametrize("actor", [actor for actor in ACTORS if actor != "expired"])
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_updates_and_deletes(scene: Scene, collection: str, actor: str, operation: str, prefer: str) -> None:
    oracle = Oracle(scene, actor)
    method, body = ("PATCH", {"title": "changed"}) if operation == "update" else ("DELETE", None)
    before = table(scene, collection)
    for row in list(scene.rows[collection].values()):
        allowed = oracle.change(collection, row, operation)
        client = scene.client(actor)
        if prefer == "graphql":
            field = (
                f'update{collection}Collection(set: {{title: "changed"}}, '
                if operation == "update"
                else f"deleteFrom{collection}Collection("
            )
            done = graphql(
                client,
                f"mutation ($id: UUID!) {{ x: {field}filter: {{id: {{eq: $id}}}}) {{ affectedCount }} }}",
                id=row["id"],
            )
            assert (done is not None and done["x"]["affectedCount"] == 1) == allowed
        else:
            answer = client.request(method, f"/{collection}?id=eq.{row['id']}", json=body, headers={"prefer": prefer})
        after = table(scene, collection)
        if not allowed and prefer == "graphql":
            assert after == before
        elif not allowed:
            assert answer.status_code in {200, 204, 401, 403}
            assert answer.text in {"", "[]"} or answer.json()["code"] == "42501"
            assert after == before
        elif operation == "update":
            assert after[row["id"]]["title"] == "changed"
            assert {**after, row["id"]: None} == {**before, row["id"]: None}
        else:
            assert set(after) == set(before) - {row["id"]}
        before = after
    reset(scene, collection)


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_what_is_rolled_back_obeys_the_rules_and_leaves_nothing(scene: Scene, collection: str) -> None:
    before = table(scene, collection)
    headers = {"prefer": "return=minimal, tx=rollback"}
    for actor in ("anon", "owner", "other", "service"):
        oracle = Oracle(scene, actor)
        client = scene.client(actor)
        for row in scene.rows[collection].values():
            for method, body, count in (("PATCH", {"title": "x"}, "update"), ("DELETE", None, "delete")):
                answer = client.request(
                    method, f"/{collection}?id=eq.{row['id']}", json=body,
                    headers={"prefer": "return=minimal, tx=rollback, count=exact"},
                )  # fmt: skip
                allowed = oracle.change(collection, row, count)
                hit = answer.status_code == 204 and answer.headers["content-range"].endswith("/1")
                assert hit == allowed, (actor, method, row["title"], answer.text)
            new = row | {"id": str(uuid.uuid4())}
            new = {key: new[key] for key in ("id", "author", "hub", "title", "published")}
            answer = client.post(f"/{collection}", json=new, headers=headers)
            assert (answer.status_code == 201) == oracle.insert(collection, new), (actor, row["title"], answer.text)
    assert table(scene, collection) == before


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_batch_obeys_the_rules_and_does_nothing_when_one_is_refused(scene: Scene, collection: str) -> None:
    """Its last operation fails, so that the one before it tells whether it would have passed."""
    before = table(scene, collection)
    hit = {"prefer": "return=representation", "accept": "application/vnd.pgrst.object+json"}
    for actor in ("anon", "owner", "other", "service"):
        oracle = Oracle(scene, actor)
        client = scene.client(actor)
        for row in scene.rows[collection].values():
            one = f"/{collection}?id=eq.{row['id']}"
            new = {key: row[key] for key in ("author", "hub", "title", "published")} | {"id": str(uuid.uuid4())}
            for operation, allowed in (
                ({"method": "PATCH", "path": one, "body": {"title": "x"}, "headers": hit}, oracle.change(collection, row, "update")),
                ({"method": "DELETE", "path": one, "headers": hit}, oracle.change(collection, row, "delete")),
                ({"method": "POST", "path": f"/{collection}", "body": new}, oracle.insert(collection, new)),
            ):  # fmt: skip
                answer = batch(client, operation, {"method": "GET", "path": "/nowhere"})
                assert answer.json()["operation"]["index"] == int(allowed), (actor, operation, answer.text)
    assert table(scene, collection) == before


@pytest.mark.parametrize("actor", ["anon", "owner", "other"])
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_an_upsert_never_reaches_a_row_that_an_update_could_not(scene: Scene, collection: str, actor: str) -> None:
    oracle = Oracle(scene, actor)
    for row in list(scene.rows[collection].values()):
        before = table(scene, collection)
        body = {
            "id": row["id"],
            "author": oracle.me or row["author"],
            "hub": row["hub"],
            "title": "taken",
            "published": False,
        }
        client = scene.client(actor)
        answer = client.post(f"/{collection}", json=body, headers={"prefer": "resolution=merge-duplicates"})
        allowed = oracle.insert(collection, body) and oracle.change(collection, row, "update")
        if allowed:
            assert answer.status_code == 200, answer.text
            assert table(scene, collection)[row["id"]]["title"] == "taken"
        else:
            assert answer.json()["code"] == "42501"
            assert table(scene, collection) == before
    reset(scene, collection)


@pytest.mark.parametrize("collection", ["mine", "articles", "rooms"])
def test_a_row_cannot_be_handed_to_another(scene: Scene, collection: str) -> None:
    row = scene.rows[collection]["private"]
    before = table(scene, collection)
    client = scene.client("owner")
    answer = client.patch(f"/{collection}?id=eq.{row['id']}", json={"author": scene.people["other"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "42501")
    assert table(scene, collection) == before


@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize("value", ["2001-01-01T00:00:00+00:00", None, "", 0, []])
def test_system_fields_are_not_the_callers_to_write(scene: Scene, collection: str, value: Any) -> None:
    for name in ("created_at", "updated_at"):
        client = scene.client("owner")
        client.post(f"/{collection}", json={"title": "x", "hub": scene.hubs["open"], name: value})
        row = scene.rows[collection]["private"]
        client.patch(f"/{collection}?id=eq.{row['id']}", json={"title": "y", name: value})
        for stored in table(scene, collection).values():
            assert str(stored[name]) > "2026"
    reset(scene, collection)
