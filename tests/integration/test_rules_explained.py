"""Why somebody may or may not do something to a record, as PostgreSQL has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.config.load import load
from mbaas.core.errors import BodyInvalid, NotFound, UnknownCollection
from mbaas.core.sql.fragment import Statement
from mbaas.modules.admin.service import RulesTold
from mbaas.modules.admin.told import Explained, PartTold, Question
from mbaas.schema import migrated

ANA, BEN = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
POST, DRAFT = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
TOML = """
[collections.members.fields]
team = { type = "text", key = true }
person = { type = "uuid", key = true }
role = { type = "text", default = "guest" }
[collections.posts.fields]
author = { type = "uuid", default = "auth.uid()" }
team = { type = "text" }
level = { type = "text" }
published = { type = "bool", default = false }
score = { type = "int", default = 0, write = "auth.aal() = 'aal2'" }
phone = { type = "text", read = "author = auth.uid()" }
secret = { type = "text", hidden = true }
loud = { type = "text", generated = "upper(team)" }
[collections.posts.rules]
select = "published or author = auth.uid() or exists (select 1 from members where members.team = posts.team and members.person = auth.uid())"
insert = "author = auth.uid() and loud is not null"
update = "author = auth.uid() and level::int >= 2"
[[collections.posts.indexes]]
fields = ["author"]
"""
Explain = Callable[..., Any]


@pytest.fixture
async def told(database: Database, tmp_path: Path) -> RulesTold:
    (tmp_path / "mbaas.toml").write_text(TOML)
    await apply_system_schema(database)
    live = await migrated(database, load(tmp_path / "mbaas.toml", {}))
    await database.execute(f"""
        insert into auth.users (id, email, raw_app_meta_data) values ('{ANA}', 'ana@example.org', '{{"plan": "pro"}}');
        insert into members (team, person) values ('blue', '{BEN}');
        insert into posts (id, author, team, level, published) values
            ('{POST}', '{ANA}', 'blue', '3', true), ('{DRAFT}', '{ANA}', 'red', 'three', false);
    """)
    return RulesTold(database, live)


async def ask(told: RulesTold, operation: str, **more: Any) -> Explained:
    return await told.explain(msgspec.convert({"collection": "posts", "operation": operation, **more}, Question))


def flat(part: PartTold | None) -> dict[str, Any]:
    if part is None:
        return {}
    return {part.text: part.value} | {text: value for one in part.parts for text, value in flat(one).items()}


async def test_each_part_of_a_rule_comes_with_its_value(told: RulesTold) -> None:
    seen = await ask(told, "select", key=DRAFT, claims={"sub": BEN})
    assert (seen.allowed, seen.found, seen.role) == (False, True, "authenticated")
    values = flat(seen.checks[0].part)
    assert values["published"] is False
    assert values["author = auth.uid()"] is False
    assert (values["author"], values["auth.uid()"]) == (ANA, BEN)
    assert len(seen.reasons) == 3, "of an or each part has failed"
    assert f'author = auth.uid() is false, as author is "{ANA}", auth.uid() is "{BEN}"' in seen.reasons[1]


async def test_a_sub_select_shows_the_rows_it_found_or_which_condition_no_row_meets(told: RulesTold) -> None:
    def members(seen: Explained) -> Any:
        part = seen.checks[0].part
        assert part is not None
        return part.parts[2].evidence

    found = members(await ask(told, "select", key=POST, claims={"sub": BEN}))
    assert found.rows == [{"team": "blue", "person": BEN}]
    missed = members(await ask(told, "select", key=DRAFT, claims={"sub": BEN}))
    assert missed.rows == []
    assert missed.conditions == {"members.team = posts.team": False, "members.person = auth.uid()": True}


async def test_what_a_guard_swallows_is_told(told: RulesTold) -> None:
    refused = await ask(told, "update", key=DRAFT, user=ANA, row={"team": "x"})
    assert refused.allowed is False
    part = refused.checks[1].part
    assert part is not None
    assert part.parts[1].value is None
    assert "three" in (part.parts[1].fault or "")
    assert "it cannot be computed" in refused.reasons[0]


async def test_an_update_is_asked_of_the_record_before_and_after(told: RulesTold) -> None:
    fine = await ask(told, "update", key=POST, user=ANA, row={"team": "green"})
    assert fine.allowed is True
    assert [(check.rule, check.on) for check in fine.checks] == [
        ("select", "stored"), ("update", "stored"), ("update", "changed"),
    ]  # fmt: skip
    given_away = await ask(told, "update", key=POST, user=ANA, row={"author": BEN})
    assert given_away.allowed is False
    assert [check.holds for check in given_away.checks] == [True, True, False]
    fields = await ask(told, "update", key=POST, user=ANA, row={"score": 5})
    assert fields.allowed is False, "score takes a second factor"
    assert (await ask(told, "update", key=POST, user=ANA, claims={"aal": "aal2"}, row={"score": 5})).allowed is True


async def test_an_insert_is_asked_of_the_record_with_its_defaults(told: RulesTold) -> None:
    assert (await ask(told, "insert", user=ANA, row={"team": "red"})).allowed is True
    assert (await ask(told, "insert", user=ANA, row={"team": None})).allowed is False, "loud is generated from it"
    forged = await ask(told, "insert", user=ANA, row={"team": "red", "author": BEN})
    assert forged.allowed is False
    assert "author = auth.uid() is false" in forged.reasons[0]
    assert (await ask(told, "insert", row={"team": "red"})).role == "anon"


async def test_without_a_record_what_depends_on_one_stays_open(told: RulesTold) -> None:
    open_ = await ask(told, "select", claims={"sub": BEN})
    assert (open_.allowed, open_.found) == (None, None)
    assert (await ask(told, "delete", claims={"sub": BEN})).allowed is False, "there is no rule at all"


async def test_fields_are_shown_or_not(told: RulesTold) -> None:
    mine = await ask(told, "select", key=POST, user=ANA)
    theirs = await ask(told, "select", key=POST, claims={"sub": BEN})
    assert [(field.of, field.holds) for field in mine.fields] == [("phone", True)]
    assert [(field.of, field.holds) for field in theirs.fields] == [("phone", False)]
    assert mine.hidden == ("secret",)


async def test_the_service_key_meets_no_rule(told: RulesTold) -> None:
    answer = await ask(told, "delete", key=POST, role="service_role")
    assert (answer.allowed, answer.reasons) == (True, ("the service key meets no rules",))
    gone = await ask(told, "select", key="00000000-0000-4000-8000-0000000000ff", role="service_role")
    assert (gone.allowed, gone.found) == (False, False)


async def test_a_question_that_makes_no_sense_is_refused(told: RulesTold) -> None:
    with pytest.raises(UnknownCollection):
        await told.explain(Question(collection="nothing"))
    with pytest.raises(NotFound):
        await ask(told, "select", user=BEN)
    for wrong in ({"key": {"nope": 1}}, {"key": "no uuid"}, {"user": "ana"}, {"claims": {"role": "postgres"}}):
        with pytest.raises(BodyInvalid):
            await ask(told, "select", **wrong)


async def test_nothing_is_written(told: RulesTold, database: Database) -> None:
    await ask(told, "insert", user=ANA, row={"team": "red"})
    await ask(told, "update", key=POST, user=ANA, row={"team": "green"})
    rows = await database.fetch_rows(Statement("select team from posts order by id"))
    assert [row[0] for row in rows] == ["blue", "red"]


async def test_the_reach_of_each_role(told: RulesTold) -> None:
    reached = await told.reached()
    rows = {(row.collection, row.operation): row.reach for row in reached.rows}
    assert rows["posts", "select"] == {"anon": "some", "authenticated": "some", "service_role": "all"}
    assert rows["posts", "insert"]["anon"] == "none", "author = auth.uid(), who is nobody"
    assert rows["posts", "delete"] == {"anon": "none", "authenticated": "none", "service_role": "all"}
    assert {field.field for field in reached.fields} == {"score", "phone", "secret"}
