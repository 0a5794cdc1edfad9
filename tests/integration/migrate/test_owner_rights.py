"""Views, functions and triggers of hand-written files do not show what rules hide; what runs with owner's rights is listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.owner_rights import OwnerRight, read_owner_rights
from mbaas.config.load import load
from mbaas.core.errors import MigrationError
from mbaas.core.sql.fragment import Statement
from mbaas.hooks.dispatch import Hooks
from mbaas.schema import migrated
from tests.integration.records.conftest import Api

TOML = """
[collections.posts.fields]
id = { type = "int", key = true }
title = { type = "text", required = true }
owner = { type = "text", default = "nobody" }
[collections.posts.rules]
select = "owner = 'everybody'"
insert = "owner = 'everybody'"

[collections.ledger.fields]
id = { type = "int", key = true }

[functions.through]
sql = "through.sql"
execute = ["anon"]
"""
SECRET = "the hidden title"
VIEW = "create view titles {options} as select title from posts; {grant}"
GRANT = "grant select on titles to anon"


class Project:
    def __init__(self, root: Path, database: Database) -> None:
        self.root = root
        self.database = database
        (root / "migrations").mkdir()
        (root / "mbaas.toml").write_text(TOML)
        self.through("null")

    def through(self, query: str) -> None:
        """What the function shows that anon may call."""
        text = (
            f"create or replace function through() returns text language plpgsql as $$ begin return ({query}); end $$"
        )
        (self.root / "through.sql").write_text(text)

    def script(self, sql: str) -> None:
        number = len(list((self.root / "migrations").iterdir())) + 1
        (self.root / "migrations" / f"{number:04}.sql").write_text(sql)

    async def serve(self) -> Api:
        live = await migrated(self.database, load(self.root / "mbaas.toml", {}))
        return Api(self.database, live(), Hooks())

    async def filled(self) -> Api:
        api = await self.serve()
        rows = [
            {"id": 1, "title": "seen", "owner": "everybody"},
            {"id": 2, "title": SECRET, "owner": "nobody"},
        ]
        await api.post("/posts", "service", rows)
        return api


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    return Project(tmp_path, database)


async def called(api: Api) -> httpx.Response:
    response = await api("GET", "/rpc/through")
    assert SECRET not in response.text
    return response


async def test_a_view_that_clients_reach_keeps_the_rules_or_is_refused(project: Project) -> None:
    await project.filled()
    project.script(VIEW.format(options="", grant=GRANT))
    with pytest.raises(MigrationError) as refused:
        await project.serve()
    assert "view public.titles shows every row to anon" in refused.value.message
    assert refused.value.hint is not None
    assert "security_invoker = true" in refused.value.hint
    there = await project.database.fetch_row(
        Statement("select to_regclass('titles')::text, (select count(*) from mbaas.scripts)::text")
    )
    assert there == (None, "0")

    (project.root / "migrations" / "0001.sql").write_text(
        VIEW.format(options="with (security_invoker = true)", grant=GRANT)
    )
    project.through("select string_agg(title, ',') from titles")
    api = await project.serve()
    assert (await called(api)).json() == "seen"


@pytest.mark.parametrize("later", [GRANT, "grant select (title) on titles to public", "grant delete on titles to anon"])
async def test_a_view_that_clients_come_to_reach_later_is_refused_then(project: Project, later: str) -> None:
    project.script(VIEW.format(options="", grant=""))
    project.through("select string_agg(title, ',') from titles")
    api = await project.filled()
    assert (await called(api)).status_code == 401
    project.script(later)
    with pytest.raises(MigrationError):
        await project.serve()
    assert (await called(api)).status_code == 401


async def test_a_materialized_view_that_clients_reach_is_refused(project: Project) -> None:
    project.script(
        "create materialized view titles as select title from posts; grant select on titles to authenticated"
    )
    with pytest.raises(MigrationError, match="materialized view"):
        await project.filled()


async def test_a_view_that_the_sql_of_a_function_makes_is_refused_as_well(project: Project) -> None:
    text = (project.root / "through.sql").read_text()
    (project.root / "through.sql").write_text(f"{VIEW.format(options='', grant=GRANT)}; {text}")
    with pytest.raises(MigrationError, match="shows every row to anon"):
        await project.serve()


async def test_a_function_of_a_script_is_for_nobody_until_it_is_granted(project: Project) -> None:
    project.script(
        "create function titles() returns text language sql security definer as 'select max(title) from posts'"
    )
    project.through("select titles()")
    api = await project.filled()
    assert (await called(api)).status_code == 401
    assert (await api("GET", "/rpc/titles")).status_code == 404, "nor is it part of the API"


async def test_a_trigger_of_a_script_shows_no_hidden_row(project: Project) -> None:
    project.script("""
        create function note() returns trigger language plpgsql as $$ begin
            insert into ledger (id) values (new.id);
            if new.title = 'away' then new.owner = 'nobody'; end if;
            return new;
        end $$;
        create trigger note before insert on posts for each row execute function note();
    """)
    api = await project.filled()
    gone = await api.post("/posts", "anon", {"id": 3, "title": "away", "owner": "everybody"})
    assert gone == [], "what a trigger hides is not given back"
    taken: Any = await api("POST", "/posts", body={"id": 3, "title": "x", "owner": "everybody"})
    assert taken.status_code == 409
    assert "ledger" not in taken.text, "nor what stands in a table that nobody may read"
    assert "(3)" not in taken.text


async def test_what_runs_with_its_owners_rights_is_listed(project: Project) -> None:
    project.script("""
        create function peek() returns text language sql security definer as 'select max(title) from posts';
        create function note() returns trigger language plpgsql security definer as $$ begin return new; end $$;
        create trigger note before insert on posts for each row execute function note();
        create rule more as on insert to ledger do also select 1;
        create table loose (a int);
        grant select on loose to authenticated;
        grant execute on function peek() to anon;
    """)
    await project.serve()
    await project.database.execute("create view titles as select title from posts; grant select on titles to anon")
    assert await read_owner_rights(project.database.url) == (
        OwnerRight("definer function", "public.note()", ()),
        OwnerRight("definer function", "public.peek()", ("anon",)),
        OwnerRight("rewrite rule", "more on public.ledger", ()),
        OwnerRight("table without row security", "public.loose", ("authenticated",)),
        OwnerRight("trigger", "note on public.posts, which calls public.note()", ()),
        OwnerRight("view", "public.titles", ("anon",)),
    )
