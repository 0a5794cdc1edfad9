"""Every error of the dialect as supabase-js and supabase-py hand it to their callers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tests.contract.conftest import Js
from tests.contract.rest import Case, Python, Scene, by_js, js_cases, py_cases

# What a function raises, and the status it becomes.
STATES = {
    "09000": 500,
    "0L000": 403,
    "0P000": 403,
    "21000": 500,
    "22012": 400,
    "22P02": 400,
    "23502": 400,
    "23503": 409,
    "23505": 409,
    "23514": 400,
    "25000": 500,
    "28000": 403,
    "2D000": 500,
    "38000": 500,
    "39000": 500,
    "3B000": 500,
    "40001": 500,
    "42501": 401,
    "42703": 400,
    "42883": 404,
    "42P01": 404,
    "42P17": 500,
    "53400": 500,
    "54000": 500,
    "55000": 500,
    "57014": 500,
    "58000": 500,
    "F0000": 500,
    "HV000": 500,
    "P0001": 400,
    "P0002": 500,
    "PT402": 402,
    "PT999": 500,
    "XX000": 500,
}


def raised(state: str, status: int, line: str = "", message: str = "it failed", **error: Any) -> Case:
    return Case(
        line or state,
        f"rpc('fail', {{state: '{state}', message: '{message}'}})",
        lambda c, s: c.rpc("fail", {"state": state, "message": message}),
        who="anon",
        status=status,
        error={"code": state, **error},
        headers={"proxy-status": f"PostgREST; error={state}", "content-type": "application/json; charset=utf-8"},
    )


def token(line: str, bearer: str, code: str, message: str | None, description: str) -> Case:
    """A request with a bearer token that does not hold."""

    def py(c: Any, s: Scene) -> Any:
        query = c.table("posts").select("*")
        query.request.headers["Authorization"] = f"Bearer {s.tokens[bearer]}"
        return query

    return Case(
        line,
        f"from('posts').select().setHeader('Authorization', 'Bearer ' + args.tokens.{bearer})",
        py,
        status=401,
        error={"code": code} if message is None else {"code": code, "message": message},
        headers={"www-authenticate": f'Bearer error="invalid_token", error_description="{description}"'},
    )


def with_header(query: Any, name: str, value: str) -> Any:
    query.request.headers[name] = value
    return query


def unavailable(state: str) -> Case:
    """The database cannot just now, whatever was asked: one code for all of it, and when to come again."""
    return replace(
        raised(state, 503), error={"code": "PGRST000", "message": "the database does not answer"}, headers={"retry-after": "1"}
    )  # fmt: skip


RAISED = [
    *(raised(state, status) for state, status in STATES.items()),
    *(unavailable(state) for state in ("08006", "53000", "57P01")),
    raised("P0001", 400, "raise exception", message="it failed", details="why", hint="what to do"),
    raised("PT402", 402, "raise with a status", message="it failed", details="why", hint="what to do"),
    raised("21000", 400, "a statement that needs a WHERE", "DELETE requires a WHERE clause"),
    raised("22023", 401, "a role that does not exist", 'role "x" does not exist'),
    Case("raise PGRST", "rpc('teapot')", lambda c, s: c.rpc("teapot"), status=418, headers={"x-pot": "tea"},
         error={"code": "POT", "message": "short and stout", "details": "d", "hint": "h"}),
]  # fmt: skip

TOLD = [
    Case("an unknown table", "from('nope').select()", lambda c, s: c.table("nope").select("*"), status=404,
         error={"code": "PGRST205", "message": "Could not find the table 'public.nope' in the schema cache", "details": None}),
    Case("an unknown table in a write", "from('nope').insert({a: 1})", lambda c, s: c.table("nope").insert({"a": 1}), status=404, error={"code": "PGRST205"}),
    Case("an unknown schema", "schema('auth').from('users').select()", lambda c, s: c.schema("auth").table("users").select("*"), status=406,
         error={"code": "PGRST106", "message": "Invalid schema: auth", "hint": "Only the following schemas are exposed: public"}),
    Case("an unknown schema in a write", "schema('auth').from('users').insert({id: 1})", lambda c, s: c.schema("auth").table("users").insert({"id": 1}), status=406, error={"code": "PGRST106"}),
    Case("an unknown schema in a call", "schema('auth').rpc('uid')", lambda c, s: c.schema("auth").rpc("uid", {}), status=406, error={"code": "PGRST106"}),
    Case("a type that nobody makes", "from('posts').select().setHeader('Accept', 'application/xml')", lambda c, s: with_header(c.table("posts").select("*"), "Accept", "application/xml"), status=406,
         error={"code": "PGRST107", "message": "None of these media types are available: application/xml"}),
    Case("a preference under handling=strict", "from('posts').select().setHeader('Prefer', 'handling=strict, nonsense')", lambda c, s: with_header(c.table("posts").select("*"), "Prefer", "handling=strict, nonsense"), status=400, error={"code": "PGRST122"}),
]  # fmt: skip

TOKENS = [
    token("an expired token", "expired", "PGRST303", "JWT expired", "JWT expired"),
    token("a forged token", "forged", "PGRST301", None, "the token's signature does not hold"),
    token("a token that is none", "garbage", "PGRST301", None, "the token's header cannot be read"),
    token("a token of no role", "roleless", "PGRST301", None, "the token has no role of ours"),
]  # fmt: skip

CASES = [*RAISED, *TOLD, *TOKENS]


@js_cases(CASES)
async def test_js(js: Js, scene: Scene, case: Case) -> None:
    outcome = await by_js(js, case, scene)
    case.check(outcome, scene)
    assert set(outcome.error or ()) >= {"code", "message", "details", "hint"}


@py_cases(CASES)
def test_py(py: Python, scene: Scene, case: Case) -> None:
    case.check(py.ask(case, scene), scene)
    assert set(json.loads(py.seen[-1].body)) == {"code", "message", "details", "hint"}


HEADS = [
    Case("unknown table", "from('nope').select('*', {head: true})", lambda c, s: c.table("nope").select("*", head=True), status=404),
    Case("unknown column", "from('posts').select('nope', {head: true})", lambda c, s: c.table("posts").select("nope", head=True), status=400),
]  # fmt: skip
CODES = {"unknown table": "PGRST205", "unknown column": "42703"}


@js_cases(HEADS)
async def test_js_head_names_the_error_in_a_header(js: Js, scene: Scene, case: Case) -> None:
    seen = (await by_js(js, case, scene)).seen[-1]
    assert (seen.status, seen.headers["proxy-status"]) == (case.status, f"PostgREST; error={CODES[case.line]}")


@py_cases(HEADS)
def test_py_head_names_the_error_in_a_header(py: Python, scene: Scene, case: Case) -> None:
    outcome = py.ask(case, scene)
    assert (outcome.status, outcome.seen[-1].headers["proxy-status"]) == (
        case.status,
        f"PostgREST; error={CODES[case.line]}",
    )
    assert outcome.error is not None
