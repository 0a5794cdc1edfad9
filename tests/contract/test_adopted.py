"""A project of somebody else's, restored and adopted: through the API each role gets what PostgreSQL gives it."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from mbaas.adapters.postgres.cluster.initialise import OWNER
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from tests.contract.conftest import HERE, Server, run_sql, running, supabase_js
from tests.contract.test_cli import run

WHO = ("anon", "ana", "ben", "staff", "service")
TABLES = ("profiles", "teams", "team_members", "projects", "labels", "project_labels", "vault", "team_overview")
COLUMNS = {"profiles": "id,username,feeling,home,updated_at"}


OURS = """
[collections.notes.fields]
project = { references = "projects", required = true, on_delete = "cascade" }
owner = { type = "uuid", required = true, default = "auth.uid()" }
text = { type = "text" }
price = { type = "int", read = "owner = auth.uid()" }
[collections.notes.rules]
select = "exists (select 1 from projects where projects.id = notes.project and projects.owner = auth.uid())"
insert = "owner = auth.uid()"
"""


@dataclass(frozen=True)
class Adopted:
    """The running project: its server, its folder, tokens and claims by who it is."""

    server: Server
    tokens: dict[str, str]
    ids: dict[str, str]
    told: dict[str, Any]
    client: httpx.Client
    loop: asyncio.AbstractEventLoop
    connection: asyncpg.Connection

    def headers(self, who: str) -> dict[str, str]:
        if who == "service":
            return self.server.headers(key=self.server.service_key)
        return self.server.headers(self.tokens.get(who))

    def claims(self, who: str) -> dict[str, Any]:
        if who not in self.tokens:
            return {"role": {"anon": "anon", "service": "service_role"}[who]}
        payload = self.tokens[who].split(".")[1]
        found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return found

    def rest(self, who: str, method: str, path: str, **more: Any) -> httpx.Response:
        return self.client.request(method, path, headers=self.headers(who) | more.pop("headers", {}), **more)

    def oracle(self, who: str, sql: str, *args: Any) -> tuple[str | None, list[Any]]:
        """SQLSTATE, or the rows as JSON, of a statement as that role with these claims; nothing of it stays."""
        return self.loop.run_until_complete(self._ask(who, sql, args))

    async def _ask(self, who: str, sql: str, args: tuple[Any, ...]) -> tuple[str | None, list[Any]]:
        claims = self.claims(who)
        await self.connection.execute("begin")
        try:
            become = "select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)"
            await self.connection.fetch(become, claims["role"], json.dumps(claims))
            return None, [json.loads(row[0]) for row in await self.connection.fetch(sql, *args)]
        except asyncpg.PostgresError as error:
            return error.sqlstate, []
        finally:
            await self.connection.execute("rollback")


@pytest.fixture(scope="module")
def adopted(cluster: EmbeddedPostgres) -> Iterator[Adopted]:
    with tempfile.TemporaryDirectory(prefix="mbaas-adopted-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        shutil.copy(HERE / "adopted" / "mbaas.toml", root)
        name = f"a{uuid.uuid4().hex}"
        asyncio.run(run_sql(cluster.admin_url("postgres"), f"create database {name} owner {OWNER}"))
        url = cluster.url(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MBAAS_DATABASE__URL", url)
            run(root, "adopt", "--check", code=1)
            asyncio.run(run_sql(url, (HERE / "adopted" / "dump.sql").read_text()))
            told = run(root, "adopt")
            with (root / "mbaas.toml").open("a") as file:
                file.write(OURS)
            loop = asyncio.new_event_loop()
            oracle = loop.run_until_complete(asyncpg.connect(url, server_settings={"timezone": "UTC"}))
            with running(root, database_url=url) as server, httpx.Client(base_url=server.url + "/rest/v1") as client:
                tokens, ids = people(server, url)
                yield Adopted(server, tokens, ids, told, client, loop, oracle)
            loop.run_until_complete(oracle.close())
            loop.close()


def people(server: Server, url: str) -> tuple[dict[str, str], dict[str, str]]:
    """Ana runs Red and is in Blue, Ben is in Blue, staff is in no team."""
    tokens, ids = {}, {}
    with httpx.Client(base_url=server.url, headers=server.headers()) as client:
        for who in ("ana", "ben", "staff"):
            data = {"staff": "yes" if who == "staff" else "no"}
            person = {"email": f"{who}@example.org", "password": "correct horse battery", "data": data}
            session = client.post("/auth/v1/signup", json=person).json()
            tokens[who], ids[who] = session["access_token"], session["user"]["id"]
    asyncio.run(
        run_sql(
            url,
            f"""
        insert into team_members (team_id, user_id, role) values
            (1, '{ids["ana"]}', 'admin'), (2, '{ids["ana"]}', 'member'), (2, '{ids["ben"]}', 'admin');
        insert into projects (team_id, owner, title, budget, moods, "Archived") values
            (1, '{ids["ana"]}', 'Roof', 10.50, '{{ok,happy}}', false), (2, '{ids["ben"]}', 'Wall', 20, '{{}}', false),
            (2, '{ids["ana"]}', 'Door', 30, '{{sad}}', false), (3, '{ids["ben"]}', 'Far', 40, '{{}}', false),
            (2, '{ids["ben"]}', 'Old', 50, '{{}}', true);
        insert into project_labels (project_id, label_id) select id, 1 from projects;
        update profiles set private_note = 'mine', home = row('Lane', 'Bern') where username = 'ana';
    """,
        )
    )
    return tokens, ids


def rows(found: list[Any]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in found)


def test_what_is_served_and_what_is_left_out(adopted: Adopted) -> None:
    told = adopted.told
    assert sorted([*told["tables"], *told["views"]]) == sorted(TABLES)
    assert told["functions"] == ["is_member", "my_budget", "my_projects"]
    left = {item["name"]: item["why"] for item in told["left_out"]}
    assert set(left) == {"events", "everybody"}, "open to the public key; shows what its owner sees"
    assert run(adopted.server.root, "adopt", "--check")["changed"] is False
    assert run(adopted.server.root, "migrate", "plan")["steps"] == [], "nothing of it is ours"


@pytest.mark.parametrize("who", WHO)
def test_reads_are_those_of_the_role(adopted: Adopted, who: str) -> None:
    for table in TABLES:
        columns = COLUMNS.get(table, "*")
        state, expected = adopted.oracle(who, f"select row_to_json(t)::text from (select {columns} from {table}) t")
        answer = adopted.rest(who, "GET", f"/{table}", params={"select": columns})
        if state is None:
            assert answer.status_code == 200, answer.text
            assert rows(answer.json()) == rows(expected), table
        else:
            assert answer.json()["code"] == state, table
            assert answer.status_code == (401 if who == "anon" else 403)


PROJECT = {"team_id": 1, "title": "New"}
WRITES = [
    ("insert", "projects", None, PROJECT | {"owner": "ana"}),
    ("insert", "projects", None, PROJECT | {"owner": "ben"}),
    ("insert", "projects", None, PROJECT),
    ("insert", "projects", None, PROJECT | {"team_id": 2, "moods": ["sad", "ok"], "budget": 1.5}),
    ("insert", "projects", None, PROJECT | {"team_id": 2, "title": "Wall"}),  # taken
    ("insert", "projects", None, PROJECT | {"moods": ["angry"]}),  # no such mood
    ("insert", "projects", None, PROJECT | {"loud": "x"}),  # generated
    ("insert", "projects", None, PROJECT | {"id": 7}),  # counted by PostgreSQL alone
    ("insert", "projects", None, PROJECT | {"Archived": True}),  # it could not be given back
    ("insert", "teams", None, {"name": "T", "slug": "t"}),  # whoever makes it is not in it, so cannot see it
    ("insert", "team_members", None, {"team_id": 2, "user_id": "staff"}),
    ("insert", "labels", None, {"name": "free"}),
    ("insert", "project_labels", None, {"project_id": 1, "label_id": 2}),
    ("insert", "vault", None, {"id": 9, "secret": "y"}),
    ("update", "projects", "title = 'Door'", {"title": "Gate"}),
    ("update", "projects", "title = 'Door'", {"owner": "ben"}),
    ("update", "projects", "title = 'Old'", {"title": "Older"}),
    ("update", "projects", "team_id = 2", {"budget": 1}),
    ("update", "profiles", "username = 'ana'", {"feeling": "happy", "home": {"street": "S", "city": "C"}}),
    ("update", "profiles", "username = 'ana'", {"private_note": "n"}),
    ("update", "teams", "id = 3", {"name": "Grey"}),
    ("update", "vault", "id = 1", {"secret": "z"}),
    ("delete", "projects", "title = 'Wall'", None),
    ("delete", "projects", "team_id = 2", None),
    ("delete", "team_members", "team_id = 2", None),
    ("delete", "teams", "id = 3", None),
    ("delete", "vault", "id = 1", None),
]  # fmt: skip


@pytest.mark.parametrize("given_back", [True, False])
@pytest.mark.parametrize("who", WHO)
def test_writes_do_what_the_role_may(adopted: Adopted, who: str, given_back: bool) -> None:
    for verb, table, where, row in WRITES:
        case = f"{verb} {table} {where} {row}"
        given = {
            key: adopted.ids.get(value, value) if isinstance(value, str) else value
            for key, value in (row or {}).items()
        }
        columns = ", ".join(f'"{key}"' for key in given)
        source = f"(select {columns} from json_populate_record(null::public.{table}, $1))"
        target = {
            "insert": f"insert into public.{table} ({columns}) {source[1:-1]}",
            "update": f"update public.{table} set ({columns}) = {source} where {where}",
            "delete": f"delete from public.{table} where {where}",
        }[verb]
        shown = COLUMNS.get(table, "*") if verb != "insert" or table != "projects" else "team_id,owner,title,moods,loud"
        returning = (
            f"with w as ({target} returning {shown}) select row_to_json(w)::text from w" if given_back else target
        )
        state, expected = adopted.oracle(who, returning, *([json.dumps(given)] if row is not None else []))
        prefer = f"tx=rollback,return={'representation' if given_back else 'minimal'}"
        params = {"select": shown} if given_back else {}
        if where is not None:
            column, value = where.replace("'", "").split(" = ")
            params[column] = f"eq.{value}"
        method = {"insert": "POST", "update": "PATCH", "delete": "DELETE"}[verb]
        answer = adopted.rest(who, method, f"/{table}", params=params, json=row and given, headers={"prefer": prefer})
        if state is not None:
            assert (answer.status_code >= 400, answer.json().get("code")) == (True, state), case
        elif given_back:
            assert answer.status_code < 300, (case, answer.text)
            assert untimed(answer.json()) == untimed(expected), case
        else:
            assert answer.status_code in (201, 204), (case, answer.text)


def untimed(found: list[Any]) -> list[str]:
    return rows([{key: value for key, value in row.items() if key not in ("id", "updated_at")} for row in found])


async def test_what_is_not_rolled_back_stays_and_is_theirs(adopted: Adopted) -> None:
    with supabase_js(adopted.server) as js:
        client = "const c = createClient(args.key, {global: {headers: {Authorization: 'Bearer ' + args.token}}});"
        common = {"key": adopted.server.anon_key, "token": adopted.tokens["ana"]}

        made = await js(
            client
            + "return await c.from('projects').insert({team_id: 1, title: 'Shed'}).select('id,owner,title').single()",
            **common,
        )
        assert made["error"] is None
        assert made["data"]["owner"] == adopted.ids["ana"], "the default asks who it is"
        merged = await js(
            client + "return await c.from('projects').upsert({team_id: 1, title: 'Shed', budget: 3},"
            " {onConflict: 'team_id,title'}).select('id,budget')",
            **common,
        )
        assert merged["error"] is None, merged
        assert merged["data"] == [{"id": made["data"]["id"], "budget": 3}]
        embedded = await js(
            client + "return await c.from('teams').select('name,projects(title,profiles(username),labels(name)),"
            "team_members(role,profiles!member_is(username))').eq('id', 2)",
            **common,
        )
        assert embedded["error"] is None, embedded
        (team,) = embedded["data"]
        assert sorted(project["title"] for project in team["projects"]) == ["Door", "Wall"], "the archived one is not"
        assert {member["profiles"]["username"] for member in team["team_members"]} == {"ana", "ben"}
        assert all(project["labels"] == [{"name": "urgent"}] for project in team["projects"])
        budget = await js(client + "return await c.rpc('my_budget', {at_least: 20})", **common)
        assert budget["data"] == 50
        mine = await js(
            client + "return await c.rpc('my_projects').select('title,teams(name)').order('title')", **common
        )
        assert [row["title"] for row in mine["data"]] == ["Door", "Roof", "Shed", "Wall"]
        assert mine["data"][1]["teams"] == {"name": "Red"}
        gone = await js(
            client + "return await c.from('projects').delete().eq('title', 'Shed').select('title')", **common
        )
        assert gone["data"] == [{"title": "Shed"}]
        moods = await js(client + "return await c.from('projects').select('title').contains('moods', ['ok'])", **common)
        assert moods["data"] == [{"title": "Roof"}]
        feeling = await js(
            client + "return await c.from('profiles').select('username').in('feeling', ['ok'])", **common
        )
        assert len(feeling["data"]) == 3


def test_strict_wishes_hold_and_take_everything_back(adopted: Adopted) -> None:
    one = {"accept": "application/vnd.pgrst.object+json", "prefer": "return=representation"}
    many = adopted.rest("ben", "PATCH", "/projects?team_id=eq.2", json={"budget": 9}, headers=one)
    assert many.status_code == 200, many.text  # of two in sight Ben owns one
    none = adopted.rest("ben", "PATCH", "/projects?team_id=eq.1", json={"budget": 9}, headers=one)
    assert (none.status_code, none.json()["code"]) == (406, "PGRST116")
    strict = {"prefer": "handling=strict,max-affected=0"}
    limited = adopted.rest("ben", "PATCH", "/projects?team_id=eq.2", json={"budget": 11}, headers=strict)
    assert limited.json()["code"] == "PGRST124"
    seen = adopted.rest("ben", "GET", "/projects?select=budget&owner=eq." + adopted.ids["ben"]).json()
    assert 11 not in [row["budget"] for row in seen]


def test_ours_and_theirs_in_one_request(adopted: Adopted) -> None:
    roof = adopted.rest("ana", "GET", "/projects?title=eq.Roof&select=id").json()[0]["id"]
    note = {"project": roof, "text": "n", "owner": adopted.ids["ana"], "price": 5}
    back = {"prefer": "return=representation"}
    made = adopted.rest("ana", "POST", "/notes?select=text,price,projects(title)", json=note, headers=back)
    assert made.status_code == 403, "a field with a rule of its own is written alone"
    assert adopted.rest("ana", "POST", "/notes", json=note).status_code == 201
    alone = adopted.rest("ana", "GET", "/notes?select=text,price").json()
    assert alone == [{"text": "n", "price": 5}]
    beside = adopted.rest("ana", "GET", "/notes?select=text,price,projects(title)").json()
    assert beside == [{"text": "n", "price": None, "projects": {"title": "Roof"}}]
    assert adopted.rest("ben", "GET", "/notes?select=text").json() == [], "by the rule, which asks their table"
    assert adopted.rest("ben", "GET", "/notes?select=text,projects(title)").json() == []
    theirs = adopted.rest("ana", "GET", "/projects?select=title,notes(text)&title=eq.Roof").json()
    assert theirs == [{"title": "Roof", "notes": [{"text": "n"}]}]


def test_what_is_adopted_is_described(adopted: Adopted) -> None:
    paths = adopted.rest("service", "GET", "/").json()["paths"]
    assert "/projects" in paths
    assert "/events" not in paths
    assert adopted.rest("anon", "OPTIONS", "/team_overview").headers["allow"] == "OPTIONS,GET,HEAD"
    assert "DELETE" in adopted.rest("anon", "OPTIONS", "/projects").headers["allow"]


def explained(adopted: Adopted, who: str, **question: Any) -> dict[str, Any]:
    url = adopted.server.url + "/admin/v1/rules/explain"
    asked = {"collection": "projects", "claims": adopted.claims(who), **question}
    answer = adopted.client.post(url, json=asked, headers=adopted.headers("service"))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("who", WHO)
def test_what_is_explained_is_what_happens(adopted: Adopted, who: str) -> None:
    for key in range(1, 6):
        where = f"where id = {key} returning 1) select '1' from w"
        for operation, sql, row in (
            ("select", f"select '1' from projects where id = {key}", None),
            ("update", f"with w as (update projects set budget = 1 {where}", {"budget": 1}),
            (
                "update",
                f"with w as (update projects set owner = '{adopted.ids['ben']}' {where}",
                {"owner": adopted.ids["ben"]},
            ),
            ("update", f'with w as (update projects set "Archived" = true {where}', {"Archived": True}),
            ("delete", f"with w as (delete from projects {where}", None),
        ):
            state, found = adopted.oracle(who, sql)
            told = explained(adopted, who, operation=operation, key=key, row=row)
            assert told["allowed"] is (state is None and found == [1]), (operation, key, row, told["reasons"])
            assert told["found"] is True
    for team in (1, 2, 3):
        state, _ = adopted.oracle(who, f"insert into projects (team_id, title) values ({team}, 'x')")
        told = explained(adopted, who, operation="insert", row={"team_id": team, "title": "x"})
        expected = state is None or (who == "service" and state == "23502")  # it has no owner, but no policy minds
        assert told["allowed"] is expected, (team, state, told["reasons"])


def test_the_reach_of_what_is_adopted(adopted: Adopted) -> None:
    answer = adopted.client.get(adopted.server.url + "/admin/v1/rules", headers=adopted.headers("service")).json()
    reach = {(row["collection"], row["operation"]): row["reach"] for row in answer["rows"]}
    assert reach["projects", "update"] == {"anon": "some", "authenticated": "some", "service_role": "all"}
    assert reach["profiles", "select"]["anon"] == "none", "nothing is granted"
    assert reach["vault", "select"]["authenticated"] == "none", "no policy lets anybody in"
    assert ("team_overview", "insert") not in reach
    shown = run(adopted.server.root, "rules", "list", "--url", adopted.server.url)
    assert shown == answer
    refused = run(
        adopted.server.root, "rules", "explain", "projects", "update", "--key", "1", "--role", "anon",
        "--url", adopted.server.url, code=1,
    )  # fmt: skip
    assert "no policy for select holds" in refused["reasons"][0]


def test_a_batch_of_ours_and_theirs_is_the_callers(adopted: Adopted) -> None:
    def batch(who: str, *operations: tuple[str, str, Any]) -> httpx.Response:
        asked = [
            {"method": method, "path": path} | ({"body": body} if body else {}) for method, path, body in operations
        ]
        url = adopted.server.url + "/batch/v1"
        return adopted.client.post(url, json={"operations": asked}, headers=adopted.headers(who))

    note = ("POST", "/notes", {"project": 1, "text": "of a batch"})
    read = ("GET", "/projects?select=title&order=title", None)
    done = batch("ben", read, note, read)
    assert done.status_code == 200, done.text
    seen = [result["body"] for result in done.json()["results"]]
    assert seen[0] == seen[2] == adopted.rest("ben", "GET", "/projects?select=title&order=title").json()
    refused = batch("ben", note, ("POST", "/projects", {"team_id": 1, "title": "taken over"}))
    assert (refused.status_code, refused.json()["code"]) == (403, "42501")
