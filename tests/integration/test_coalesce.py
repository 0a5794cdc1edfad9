"""Statements that share a round trip: each gets its own answer or its own error, whoever goes with it."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbaas.adapters.postgres.database import Database, Timeouts
from mbaas.core.errors import DatabaseError, MbaasError, Timeout, Unavailable
from mbaas.core.query.shape import mark
from mbaas.core.sql.fragment import Fragment, Statement, concat, value
from mbaas.core.sql.template import Template, Together, for_each, template

SOAK = bool(os.environ.get("MBAAS_SOAK"))
SQUARE = "select ($1::integer * $1::integer)::text, pg_current_xact_id()::text"
INSERT = "with w as (insert into notes values ($1::integer, $2::text) returning id) select id::text from w"
TOUCH = "with w as (update notes set note = $2::text where id = $1::integer returning id) select count(*)::text from w"
SLOW = "select $1::text, case when $1::text = 'slow' then pg_sleep(0.6)::text end"


@pytest.fixture
async def shared(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url, connections=4)
    await opened.open()
    await opened.execute("create table notes (id integer primary key, note text)")
    yield opened
    await opened.close()


def read(fragment: Fragment) -> Template:
    return template(fragment, for_each(fragment))


def ask(database: Database, text: str, *args: str) -> asyncio.Future[Any]:
    return asyncio.ensure_future(database.fetch_shared(text, args, role="authenticated"))


async def test_each_gets_its_own_answer_and_some_share_a_transaction(shared: Database) -> None:
    rows = await asyncio.gather(*(ask(shared, SQUARE, str(number)) for number in range(100)))
    assert [row[0] for row in rows] == [str(number * number) for number in range(100)]
    assert len({row[1] for row in rows}) < 10


async def test_without_coalescing_each_has_its_own(database_url: str) -> None:
    alone = Database(database_url, connections=2, coalesce=False)
    await alone.open()
    rows = await asyncio.gather(*(ask(alone, SQUARE, str(number)) for number in range(20)))
    await alone.close()
    assert len({row[1] for row in rows}) == 20


async def test_reads_that_can_be_one_statement_are_one(shared: Database) -> None:
    found = read(
        concat(
            "select (", value(mark(0), "integer"), " * 2)::text, pg_current_xact_id()::text, ", value(mark(1), "text")
        )
    )  # fmt: skip
    words = [None, "", "a'b", '{x,"y"}', "null"]

    def one(number: int) -> asyncio.Future[Any]:
        args = (str(number), words[number % len(words)])
        return asyncio.ensure_future(
            shared.fetch_shared(found.text, args, role="authenticated", together=found.together)
        )

    rows = await asyncio.gather(*map(one, range(100)))
    assert [(row[0], row[2]) for row in rows] == [(str(2 * n), words[n % len(words)]) for n in range(100)]
    assert len({row[1] for row in rows}) < 10
    asked = await shared.fetch_rows(Statement("select query from pg_stat_activity where datname = current_database()"))
    assert found.together is not None
    assert found.together.text in {query for (query,) in asked}


async def test_reads_of_those_who_ask_again_go_in_two_halves(shared: Database) -> None:
    """With all of them in one batch, we and the server would wait for each other."""
    found = read(concat("select pg_current_xact_id()::text, ", value(mark(0), "text")))

    async def one(number: int) -> list[str]:
        rows = [
            await shared.fetch_shared(found.text, (str(number),), role="authenticated", together=found.together)
            for _ in range(10)
        ]
        return [row[0] or "" for row in rows]

    batches = Counter(name for names in await asyncio.gather(*map(one, range(32))) for name in names)
    assert set(batches.values()) == {16}


@pytest.mark.parametrize("bad", ["no number", "nul: \0", "half of a pair: \ud800", "99999999999"])
async def test_a_read_that_fails_takes_nobody_with_it(shared: Database, bad: str) -> None:
    found = read(concat("select (", value(mark(0), "integer"), " + 1)::text"))
    outcomes = await asyncio.gather(
        *(
            shared.fetch_shared(found.text, (number,), role="authenticated", together=found.together)
            for number in ("1", bad, "2", "3")
        ),
        return_exceptions=True,
    )
    assert [isinstance(outcome, MbaasError) for outcome in outcomes] == [False, True, False, False]
    assert outcomes[::3] == [("2",), ("4",)]


def test_a_statement_for_many_holds_the_one_statement() -> None:
    found = read(concat("select ", value(mark(0), "uuid"), ", ", value("7", "integer")))
    assert found.together == Together(
        text="with args as (select * from unnest($1::text[], $2::text[]) with ordinality as args(v1, v2, nth)) "
        "select answers.* from args cross join lateral (select args.v1::uuid, args.v2::integer) answers "
        "order by args.nth"
    )
    lists = read(concat("select ", value(mark(0), "uuid[]")))
    assert lists.together is None


async def test_one_that_fails_takes_nobody_with_it(shared: Database) -> None:
    asked = [ask(shared, INSERT, str(number), "x") for number in (1, 2, 2, 3)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(DatabaseError) == 1
    failed = next(outcome for outcome in outcomes if isinstance(outcome, DatabaseError))
    assert failed.sqlstate == "23505"
    assert await shared.fetch_rows(Statement("select id::text from notes order by id")) == [("1",), ("2",), ("3",)]


@pytest.mark.parametrize("bad", ["no number", "nul: \0", "half of a pair: \ud800"])
async def test_a_literal_that_cannot_be_bound_fails_alone(shared: Database, bad: str) -> None:
    asked = [ask(shared, INSERT, "1", "x"), ask(shared, INSERT, bad, "x"), ask(shared, INSERT, "2", "x")]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(outcome, MbaasError) for outcome in outcomes] == [False, True, False]
    assert await shared.fetch_row(Statement("select count(*)::text from notes")) == ("2",)


async def test_a_slow_one_holds_nobody_up(shared: Database) -> None:
    done: list[str] = []

    async def one(word: str) -> None:
        done.append((await ask(shared, SLOW, word))[0])

    await asyncio.gather(*(one(word) for word in ("slow", "a", "b", "c")))
    assert done[-1] == "slow"


async def test_a_locked_row_holds_nobody_up(shared: Database) -> None:
    await shared.execute("insert into notes values (1, 'a'), (2, 'b')")
    holder = await asyncpg.connect(shared.url)
    held = holder.transaction()
    await held.start()
    await holder.execute("update notes set note = 'held' where id = 1")
    waits, free = ask(shared, TOUCH, "1", "mine"), ask(shared, TOUCH, "2", "free")
    assert await free == ("1",)
    assert not waits.done()
    await held.commit()
    assert await waits == ("1",)
    await holder.close()
    rows = await shared.fetch_rows(Statement("select id::text, note from notes order by id"))
    assert rows == [("1", "mine"), ("2", "free")]


async def test_the_time_limit_of_a_role_holds(database_url: str) -> None:
    hasty = Database(database_url, connections=2, timeouts=Timeouts(authenticated=0.3))
    await hasty.open()
    outcomes = await asyncio.gather(ask(hasty, SLOW, "slow"), ask(hasty, SLOW, "a"), return_exceptions=True)
    await hasty.close()
    assert isinstance(outcomes[0], Timeout)
    assert outcomes[1][0] == "a"  # type: ignore[index]


async def test_who_goes_away_changes_nothing_for_the_others(shared: Database) -> None:
    asked = [ask(shared, INSERT, str(number), "x") for number in range(20)]
    await asyncio.sleep(0)
    for one in asked[::2]:
        one.cancel()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[::2])
    assert [outcome[0] for outcome in outcomes[1::2]] == [str(number) for number in range(1, 20, 2)]  # type: ignore[index]


async def test_what_may_have_happened_is_not_done_again(shared: Database) -> None:
    """A connection that ends in the middle of a batch: nobody knows how far it came, so nothing is tried again."""
    await shared.execute("create table tries (n integer)")
    text = (
        "with w as (insert into tries values ($1::integer) returning n) "
        "select n::text, case when n = 2 then pg_terminate_backend(pg_backend_pid())::text end from w"
    )
    asked = [ask(shared, text, str(number)) for number in (1, 2, 3)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    await until_answered(shared)
    rows = await shared.fetch_rows(Statement("select n::text, count(*)::text from tries group by 1"))
    assert all(count == "1" for _, count in rows)


async def until_answered(database: Database) -> None:
    while True:
        try:
            await database.ping()
            return
        except MbaasError:
            continue


kinds = st.lists(st.sampled_from(["good", "good", "good", "taken", "bad", "slow", "gone"]), min_size=1, max_size=24)
MIXED = (
    "with w as (insert into mixed select $1::integer, $2::text, "
    "case when $2::text = 'slow' then pg_sleep(0.3)::text end returning id) select id::text from w"
)


@given(kinds=kinds)
@settings(
    max_examples=100 if SOAK else 8,
    deadline=None,
    derandomize=not SOAK,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_company_gives_the_answers_one_gets_alone(database_url: str, kinds: list[str]) -> None:
    asyncio.run(_mixed(database_url, kinds))


@given(kinds=kinds)
@settings(
    max_examples=100 if SOAK else 8,
    deadline=None,
    derandomize=not SOAK,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_reads_give_in_any_company_what_they_give_alone(database_url: str, kinds: list[str]) -> None:
    asyncio.run(_mixed_reads(database_url, kinds))


async def _mixed_reads(url: str, kinds: list[str]) -> None:
    database = Database(url, connections=3)
    await database.open()
    found = read(
        concat("select (12 / (", value(mark(0), "integer"), " + 1))::text, case when ", value(mark(1), "text"),
               " = 'slow' then pg_sleep(0.3)::text end"),
    )  # fmt: skip
    try:
        asked = []
        for number, kind in enumerate(kinds, start=1):
            args = ({"taken": "-1", "bad": "none"}.get(kind, str(number)), kind)
            reading = database.fetch_shared(found.text, args, role="authenticated", together=found.together)
            asked.append(asyncio.ensure_future(reading))
        await asyncio.sleep(0)
        for one, kind in zip(asked, kinds, strict=True):
            if kind == "gone":
                one.cancel()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        for number, (kind, outcome) in enumerate(zip(kinds, outcomes, strict=True), start=1):
            if kind in ("good", "slow"):
                assert not isinstance(outcome, BaseException)
                assert outcome[0] == str(12 // (number + 1))
            elif kind == "gone":
                assert isinstance(outcome, asyncio.CancelledError)
            else:
                assert isinstance(outcome, DatabaseError)
                assert outcome.sqlstate == ("22012" if kind == "taken" else "22P02")
    finally:
        await database.close()


async def _mixed(url: str, kinds: list[str]) -> None:
    database = Database(url, connections=3)
    await database.open()
    await database.execute("drop table if exists mixed; create table mixed (id integer primary key, kind text, s text)")
    await database.execute("insert into mixed values (0, 'taken')")
    try:
        asked = []
        for number, kind in enumerate(kinds, start=1):
            value = {"taken": "0", "bad": "none"}.get(kind, str(number))
            asked.append(ask(database, MIXED, value, kind))
        await asyncio.sleep(0)
        for one, kind in zip(asked, kinds, strict=True):
            if kind == "gone":
                one.cancel()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        for number, (kind, outcome) in enumerate(zip(kinds, outcomes, strict=True), start=1):
            if kind in ("good", "slow"):
                assert outcome == (str(number),)
            elif kind == "gone":
                assert isinstance(outcome, asyncio.CancelledError)
            else:
                assert isinstance(outcome, DatabaseError)
                assert outcome.sqlstate == ("23505" if kind == "taken" else "22P02")
        rows = await database.fetch_rows(Statement("select id::text from mixed where id > 0"))
        there = {row[0] for row in rows}
        assert {str(number) for number, kind in enumerate(kinds, 1) if kind in ("good", "slow")} <= there
        assert there <= {str(number) for number, kind in enumerate(kinds, 1) if kind in ("good", "slow", "gone")}
    finally:
        await database.close()
