"""One rule, one answer: in our own statements, as a policy, in Python, and as PostgreSQL reads the author's text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg
import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, Phase, event, given, note, settings

from mbaas.adapters.postgres.connection import connect
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.core.expr.evaluate import evaluate
from mbaas.core.expr.types import Expr
from mbaas.core.identity import Identity
from mbaas.core.rules.compile import compile_rules
from mbaas.core.sql.expressions import render_expr
from mbaas.core.sql.fragment import concat, identifier, statement
from mbaas.core.sql.policy import render_policies
from tests.conftest import SOAK
from tests.strategies_rules import CATALOG, IDENTITIES, rules, tables, with_rule

Records = dict[str, list[dict[str, Any]]]
Answers = dict[str, bool | None]


class Judge:
    """A database with both collections, in a transaction that is rolled back after each example."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._loop = asyncio.new_event_loop()
        self._connection: Any = self.run(self._open())

    def run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self._connection.close())
        self._loop.close()

    async def _open(self) -> Any:
        database = Database(self._url, connections=1, unsafe_dev=True)
        await database.open()
        await apply_system_schema(database)
        for collection in CATALOG.collections.values():
            columns = ", ".join(f'"{field.name}" {field.type.sql}' for field in collection.fields)
            await database.execute(f"create table public.{collection.name} ({columns}, primary key (id))")
        await database.close()
        return await connect(self._url, statement_timeout_s=10)

    async def compare(self, rows: Records, texts: list[str], identity: Identity) -> None:
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            records, now = await self._fill(rows, identity)
            for text in texts:
                note(text)
                await self._compare_one(text, identity, records, now)
        finally:
            await transaction.rollback()

    async def _fill(self, rows: Records, identity: Identity) -> tuple[Records, datetime]:
        """The rows put into the tables, and back as REST would give them."""
        records = {}
        for name, some in rows.items():
            await self._connection.execute(
                f"insert into {name} select * from json_populate_recordset(null::{name}, $1)", json.dumps(some)
            )
            page = await self._connection.fetchval(f"select coalesce(json_agg(t), '[]') from {name} t")
            records[name] = msgspec.json.Decoder(float_hook=Decimal).decode(page)
        await self._connection.execute("select set_config('request.jwt.claims', $1, true)", json.dumps(identity.claims))
        return records, datetime.fromisoformat(await self._connection.fetchval("select now()"))

    async def _compare_one(self, text: str, identity: Identity, records: Records, now: datetime) -> None:
        rules = compile_rules(with_rule(text))
        expr = rules.row("things", "select")
        rendered = statement(
            concat("(", render_expr(expr, column=lambda one: identifier("things", one.name), identity=identity), ")")
        )
        admitted, inline = await self._admitted(rules, identity, rendered.text, rendered.args)
        python = self._python(expr, identity, records, now)
        try:
            async with self._connection.transaction():
                authors = await self._answers(f"({text})", ())
        except (asyncpg.DataError, asyncpg.CardinalityViolationError):
            event("PostgreSQL refuses a value")  # the guards say no for it, whichever way one asks
            assert admitted == {key for key, answer in inline.items() if answer}
            assert {key for key, answer in python.items() if answer} <= admitted
            return
        assert {key: answer is True for key, answer in inline.items()} == {
            key: answer is True for key, answer in authors.items()
        }
        assert [
            (answer, python[key], records)
            for key, answer in authors.items()
            if (answer is True) is not (python[key] is True)
        ] == []
        assert admitted == {key for key, answer in authors.items() if answer}
        event("some are let in" if admitted else "nobody is let in")

    async def _answers(self, condition: str, args: tuple[Any, ...]) -> Answers:
        rows = await self._connection.fetch(
            f"select id, ({condition})::boolean from things",
            *(list(one) if isinstance(one, tuple) else one for one in args),
        )
        return {row[0]: {"t": True, "f": False, None: None}[row[1]] for row in rows}

    async def _admitted(
        self, rules: Any, identity: Identity, condition: str, args: tuple[Any, ...]
    ) -> tuple[set[str], Answers]:
        """Who gets in by the policies; and what the rule is inline, which needs the same functions."""
        savepoint = self._connection.transaction()
        await savepoint.start()
        try:
            for collection in ("things", "shares"):
                await self._connection.execute(";".join(render_policies(rules, collection)))
            inline = await self._answers(condition, args)
            await self._connection.execute(f"set local role {identity.role}")
            return {row[0] for row in await self._connection.fetch("select id from things")}, inline
        except asyncpg.InsufficientPrivilegeError:  # the rule is "false": no grant either
            return set(), inline
        finally:
            await savepoint.rollback()

    def _python(self, expr: Expr, identity: Identity, records: Records, now: datetime) -> Answers:
        return {
            record["id"]: evaluate(expr, record, identity, records.__getitem__, now=now) for record in records["things"]
        }


@pytest.fixture(scope="module")
def judge(cluster: EmbeddedPostgres) -> Iterator[Judge]:
    async def administrate(script: str) -> None:
        admin = await asyncpg.connect(cluster.admin_url("postgres"))
        await admin.execute(script)
        await admin.close()

    asyncio.run(administrate("create database rules_agree"))
    made = Judge(cluster.admin_url("rules_agree"))
    yield made
    made.close()
    asyncio.run(administrate("drop database rules_agree with (force)"))


@settings(
    max_examples=2000 if SOAK else 50,
    deadline=None,
    phases=(Phase.explicit, Phase.generate) if not SOAK else tuple(Phase),
    suppress_health_check=list(HealthCheck),
)
@given(tables(), st.lists(rules(), min_size=2, max_size=5), IDENTITIES)
def test_a_rule_has_one_answer(judge: Judge, rows: Records, texts: list[str], identity: Identity) -> None:
    judge.run(judge.compare(rows, texts, identity))


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(["now() = now()", "flag and (n = 1 and current_date = current_date)"]))
def test_a_rule_may_compare_with_itself_what_asks_nothing_of_the_row(judge: Judge, text: str) -> None:
    row = {"id": "20000000-0000-4000-8000-000000000000", "flag": True, "n": 1}
    judge.run(judge.compare({"things": [row], "shares": []}, [text], Identity(role="anon", claims={"role": "anon"})))


def test_what_postgresql_refuses_is_no_verdict_for_python_either() -> None:
    rule = compile_rules(with_rule("title::int = 1")).row("things", "select")
    assert [evaluate(rule, {"title": title}, Identity(role="anon")) for title in ("one", "1")] == [None, True]
