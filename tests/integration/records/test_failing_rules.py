"""A rule that fails at run time is a no: no row is shown, nothing is written, and no error tells of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.config.load import load
from mbaas.hooks.dispatch import Hooks
from mbaas.schema import migrated
from tests.integration.records.conftest import Api

TOML = """
[collections.members.fields]
team = {{ type = "int", required = true }}
level = {{ type = "int", required = true }}

[collections.codes.fields]
id = {{ type = "int", key = true }}
code = {{ type = "text" }}
team = {{ type = "int", default = 1 }}
n = {{ type = "int", default = 3 }}
note = {{ type = "text", read = "{rule}" }}
[collections.codes.rules]
select = "{rule}"
insert = "{rule}"
update = "{rule}"
delete = "{rule}"

[collections.open.fields]
id = {{ type = "int", key = true }}
note = {{ type = "text", read = "{rule_of_open}" }}
[collections.open.rules]
select = "true"

[functions.all_codes]
sql = "all.sql"
execute = ["anon", "authenticated"]
[functions.add_code]
sql = "add.sql"
execute = ["anon", "authenticated"]
"""
ALL = "create function all_codes() returns table (id int) language sql stable as 'select id from codes'"
ADD = """create function add_code(id int, code text, team int, n int) returns void language sql as
'insert into codes (id, code, team, n) values (id, code, team, n)'"""
GOOD, NO, FAILS = 1, 2, 3
# For each rule: code, team and n of a row that it lets in, of one that it does not, and of one that it fails for.
RULES = {
    "code::int > 5": (("9", 1, 3), ("2", 1, 3), ("nine", 1, 3)),
    "team = 1 and code::int > 5": (("9", 1, 3), ("9", 2, 3), ("nine", 1, 3)),
    "n * n > 5": (("a", 1, 3), ("a", 1, 1), ("a", 1, 2000000000)),
    "(select m.level from members m where m.team = codes.team) = 7": (("a", 1, 3), ("a", 3, 3), ("a", 2, 3)),
}


@pytest.fixture(params=RULES)
async def failing(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> tuple[Api, str]:
    rule = request.param
    (tmp_path / "mbaas.toml").write_text(TOML.format(rule=rule, rule_of_open="note::int > 5"))
    (tmp_path / "all.sql").write_text(ALL)
    (tmp_path / "add.sql").write_text(ADD)
    await apply_system_schema(database)
    live = await migrated(database, load(tmp_path / "mbaas.toml", {}))
    api = Api(database, live(), Hooks())
    await api.post("/members", "service", [{"team": 1, "level": 7}, {"team": 2, "level": 7}, {"team": 2, "level": 7}])
    rows = [
        {"id": number, "code": code, "team": team, "n": n, "note": f"note {number}"}
        for number, (code, team, n) in enumerate(RULES[rule], 1)
    ]
    await api.post("/codes", "service", rows)
    return api, rule


def row(rule: str, which: int, number: int) -> dict[str, object]:
    code, team, n = RULES[rule][which - 1]
    return {"id": number, "code": code, "team": team, "n": n}


async def ids(api: Api, path: str = "/codes?select=id", by: str = "ana") -> list[int]:
    return sorted(found["id"] for found in await api.get(path, by))


async def test_a_row_for_which_the_rule_fails_is_not_shown_on_any_path(failing: tuple[Api, str]) -> None:
    api, _ = failing
    assert await ids(api) == [GOOD]
    assert await ids(api, "/codes?select=id&note=eq.note%203") == []
    assert await ids(api, f"/codes?select=id&id=eq.{FAILS}") == []
    assert await ids(api, "/codes?select=id&order=code") == [GOOD]
    assert await ids(api, "/rpc/all_codes") == [GOOD]
    assert await ids(api, by="service") == [GOOD, NO, FAILS]
    counted = await api("HEAD", "/codes", "ana", prefer="count=exact")
    assert counted.headers["content-range"] == "0-0/1"


async def test_nothing_is_written_where_the_rule_fails(failing: tuple[Api, str]) -> None:
    api, rule = failing
    for which in (NO, FAILS):
        refused = await api("POST", "/codes", "ana", body=row(rule, which, 10))
        assert refused.status_code == 403, "it has written"
        assert refused.json()["code"] == "42501", refused.text
        by_function = await api("POST", "/rpc/add_code", "ana", body=row(rule, which, 10))
        assert (by_function.status_code, by_function.json()) == (403, refused.json())
        values = row(rule, which, GOOD)
        moved = await api("PATCH", f"/codes?id=eq.{GOOD}", "ana", body={"code": values["code"], **values})
        assert (moved.status_code, moved.json()) == (403, refused.json())
        assert await api.patch(f"/codes?id=eq.{which}", "ana", {"team": 1}) == []
        assert await api.delete(f"/codes?id=eq.{which}", "ana") == []
    added = await api("POST", "/rpc/add_code", "ana", body=row(rule, GOOD, 10))
    assert added.status_code == 204, added.text
    assert [found["id"] for found in await api.delete("/codes", "ana")] == [GOOD, 10]
    assert await ids(api, by="service") == [NO, FAILS]


async def test_a_field_whose_rule_fails_is_null(failing: tuple[Api, str]) -> None:
    api, _ = failing
    await api.post("/open", "service", [{"id": 1, "note": "9"}, {"id": 2, "note": "nine"}, {"id": 3, "note": "1"}])
    assert await api.get("/open?select=id,note&order=id", "ana") == [
        {"id": 1, "note": "9"},
        {"id": 2, "note": None},
        {"id": 3, "note": None},
    ]
