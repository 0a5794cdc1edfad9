"""The REST dialect of our errors: one golden file an error, and nothing in any of them that the caller may not know."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from mbaas.core import errors
from mbaas.core.errors import DatabaseError, MbaasError
from mbaas.core.identity import Role
from mbaas.core.plan import errors as plan
from mbaas.core.query import errors as query
from mbaas.core.schema.catalog import Check, Collection, Field, Index, IndexField, Reference
from mbaas.core.schema.types import parse_type
from mbaas.http import errors as edge
from mbaas.modules.records.errors import TABLE, Refusal, fields_at_fault, is_readable, refuse

GOLDEN = Path(__file__).parents[3] / "golden" / "errors"


def database(sqlstate: str, message: str = "said by PostgreSQL", **more: Any) -> DatabaseError:
    return DatabaseError(message, sqlstate=sqlstate, **more)


CANDIDATE = {
    "cardinality": "many-to-one",
    "embedding": "posts with profiles",
    "relationship": "posts_author_fkey using posts(author) and profiles(id)",
}
RULE = 'new row violates row-level security policy for table "posts"'
GONE = {
    "details": 'Key (post)=(-5) is not present in table "posts".',
    "table": "comments",
    "constraint": "comments_post_fkey",
}
TAKEN = {"details": "Key (slug)=(x) already exists.", "table": "posts", "constraint": "posts_slug_key"}
FAILING = {"details": "Failing row contains (1, secret).", "table": "posts"}
ABC = '{"code":"123","message":"ABC","details":"DEF","hint":"XYZ"}'

# name of the golden file: the error, the role of the caller, and whether a broken constraint's fields are readable
ERRORS: dict[str, tuple[Exception, Role, bool]] = {
    name: (entry if isinstance(entry, tuple) else (entry, "authenticated", False))
    for name, entry in {
        "query_syntax": query.QuerySyntax(
            "filter", "xyz", 0, 'unexpected "x" expecting "not" or operator (eq, gt, ...)'
        ),
        "query_too_complex": query.QueryTooComplex("a filter has more than 100 terms"),
        "query_invalid": errors.QueryError("the request cannot be understood"),
        "query_unknown_field": errors.UnknownField.of("posts", "titel"),
        "payload_unknown_field": errors.UnknownPayloadField.of("posts", "titel"),
        "collection_unknown": errors.UnknownCollection.of("post", "posts"),
        "schema_unknown": query.UnknownSchema("secret"),
        "function_unknown": query.UnknownFunction("f", ("a", "b")),
        "function_unknown_without_parameters": query.UnknownFunction("f", perhaps="g"),
        "function_ambiguous": query.AmbiguousFunction((("f", (("a", "integer"),)), ("f", (("a", "text"),)))),
        "relationship_unknown": query.NoRelationship("posts", "profile", perhaps="profiles"),
        "relationship_unknown_with_hint": query.NoRelationship("posts", "profiles", "nope"),
        "relationship_ambiguous": query.AmbiguousRelationship(
            "posts", "profiles", (CANDIDATE,), ("profiles!posts_author_fkey", "profiles!posts_editor_fkey")
        ),
        "query_not_embedded": query.NotEmbedded("comments"),
        "query_order_not_to_one": query.OrderNotToOne("posts", "comments"),
        "query_unknown_type": plan.UnknownType("regclass"),
        "query_no_unique_target": plan.NoUniqueTarget(),
        "query_patterns_off": (plan.PatternsOff(), "anon", False),
        "query_embed_filter": query.EmbedFilterInvalid("comments"),
        "query_aggregates_off": query.AggregatesOff(),
        "query_unsupported": query.Unsupported("Aggregates are not implemented for one-to-many spreads"),
        "value_invalid": errors.InvalidValue('malformed array literal: "x"'),
        "range_invalid": query.RangeInvalid("Limit should be greater than or equal to zero."),
        "range_invalid_beyond": query.RangeInvalid.beyond(100, 15),
        "preference_invalid": query.PreferenceInvalid(("anything", "count=most")),
        "not_acceptable": query.NotAcceptable(("text/unknowntype",)),
        "not_singular": query.NotSingular(0),
        "max_affected_exceeded": query.MaxAffectedExceeded(4),
        "cursor_invalid": query.CursorInvalid("it is of a query with another collection or order"),
        "misplaced": query.Misplaced("cursor and offset exclude each other", "leave offset and the Range header out"),
        "max_affected_unsupported": query.MaxAffectedUnsupported(),
        "put_filters": query.PutInvalid(),
        "put_window": query.PutWindow(),
        "put_mismatch": query.PutMismatch(),
        "method_not_allowed": query.MethodNotAllowed("TRACE"),
        "view_not_written": query.ViewNotWritten("popular"),
        "method_not_served": edge.MethodNotAllowed("this method is not served"),
        "url_too_long": edge.UrlTooLong("the address is longer than 32768 bytes"),
        "headers_too_large": edge.HeadersTooLarge("the headers are too large"),
        "body_too_slow": edge.BodyTooSlow("the body did not arrive in time"),
        "hook_refused_anon": (
            errors.HookRefused("please do not shout", status=422, hint="use lower case"),
            "anon",
            False,
        ),
        "call_method_not_allowed": query.CallMethodNotAllowed("DELETE"),
        "path_unknown": query.UnknownPath(),
        "body_invalid": errors.BodyInvalid("Empty or invalid json"),
        "body_invalid_keys": errors.BodyInvalid("All object keys must match"),
        "token_invalid": errors.TokenInvalid("No suitable key or wrong key type"),
        "token_expired": errors.TokenExpired("JWT expired"),
        "unauthenticated": errors.Unauthenticated("Anonymous access is disabled"),
        "forbidden": errors.Forbidden("not yours"),
        "rule_refused": errors.RuleRefused(RULE),
        "rule_refused_anon": (errors.RuleRefused(RULE), "anon", False),
        "not_found": errors.NotFound("there is no such thing"),
        "conflict": errors.Conflict("it is there already"),
        "batch_reference_invalid": query.ReferenceInvalid("the answer of 'post' has nothing at '0'"),
        "idempotency_key_invalid": errors.IdempotencyKeyInvalid("the Idempotency-Key cannot be used as one"),
        "idempotency_key_reused": errors.IdempotencyKeyReused("this Idempotency-Key came before with another request"),
        "idempotency_in_progress": errors.IdempotencyInProgress("a request with this key is being answered"),
        "too_large": errors.TooLarge("The body is longer than 1048576 bytes"),
        "rate_limited": errors.RateLimited("Too many requests", retry_after_s=7),
        "unavailable": errors.Unavailable("the database does not answer", hint="try again in a moment"),
        "timeout": errors.Timeout("the statement took too long and was cancelled"),
        "internal": MbaasError("a detail for the log"),
        "internal_not_ours": ZeroDivisionError("in /srv/mbaas/app.py"),
        "23502": database(
            "23502", 'null value in column "title" of relation "posts" violates not-null constraint', **FAILING
        ),
        "23502_readable": (
            database(
                "23502", 'null value in column "title" of relation "posts" violates not-null constraint', **FAILING
            ),
            "authenticated",
            True,
        ),
        "23503": database(
            "23503", 'insert or update on table "comments" violates foreign key constraint "comments_post_fkey"', **GONE
        ),
        "23503_readable": (
            database(
                "23503",
                'insert or update on table "comments" violates foreign key constraint "comments_post_fkey"',
                **GONE,
            ),
            "authenticated",
            True,
        ),
        "23505": database("23505", 'duplicate key value violates unique constraint "posts_slug_key"', **TAKEN),
        "23505_readable": (
            database("23505", 'duplicate key value violates unique constraint "posts_slug_key"', **TAKEN),
            "authenticated",
            True,
        ),
        "23514": database(
            "23514", 'new row for relation "posts" violates check constraint "posts_title_check"', **FAILING
        ),
        "23P01_readable": (
            database(
                "23P01", "conflicting key value", details="Key (during)=(x) conflicts with existing key (during)=(y)."
            ),
            "authenticated",
            True,
        ),
        "22P02": database("22P02", 'invalid input syntax for type integer: "x"'),
        "25006": database("25006", "cannot execute INSERT in a read-only transaction"),
        "42501": database("42501", RULE),
        "42501_anon": (database("42501", RULE), "anon", False),
        "42703": database("42703", "column posts.secrt does not exist", hint='Perhaps you meant "posts.secret".'),
        "42883": database(
            "42883", "function f(integer) does not exist", hint="You might need to add explicit type casts."
        ),
        "42P01": database("42P01", 'relation "x" does not exist'),
        "42P10": database("42P10", "there is no unique or exclusion constraint matching the ON CONFLICT specification"),
        "42P17": database("42P17", 'infinite recursion detected in policy for relation "posts"'),
        "21000": database("21000", "more than one row returned by a subquery used as an expression"),
        "21000_where": database("21000", "UPDATE requires a WHERE clause"),
        "22023_role": database("22023", 'role "x" does not exist'),
        "53300": database("53300", "sorry, too many clients already"),
        "58P01": database("58P01", 'could not open file "base/5/1259": No such file or directory'),
        "P0001": database("P0001", "Payment Required", details="Quota exceeded", hint="Upgrade your plan"),
        "PT402": database("PT402", "Payment Required", details="Quota exceeded", hint="Upgrade your plan"),
        "PT999": database("PT999", "no such status"),
        "PGRST_raise": database("PGRST", ABC, details='{"status":332,"headers":{"X-Header":"str"}}'),
        "PGRST_raise_message": database("PGRST", "INVALID"),
        "PGRST_raise_detail": database("PGRST", ABC),
    }.items()
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_looks_on_the_wire_as_it_always_did(name: str, request: pytest.FixtureRequest) -> None:
    error, role, readable = ERRORS[name]
    status, headers, body = refuse(error, role=role, readable=readable).answer()
    found = {"status": status, "headers": {n.decode(): v.decode() for n, v in headers}, "body": json.loads(body)}
    file = GOLDEN / f"{name}.json"
    if request.config.getoption("--rewrite-golden"):
        file.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    assert json.loads(file.read_text()) == found


def test_every_error_of_a_request_has_its_golden_file() -> None:
    ours = [
        kind
        for module in (errors, plan, query)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, errors.QueryError)
    ]
    shown = {type(error) for error, _, _ in ERRORS.values()}
    assert set(ours) <= shown
    assert {file.stem for file in GOLDEN.glob("*.json")} == set(ERRORS)


def test_every_line_of_the_table_is_used() -> None:
    assert set(TABLE) <= {ancestor for error, _, _ in ERRORS.values() for ancestor in type(error).__mro__}


@pytest.mark.parametrize(("error", "role", "readable"), ERRORS.values(), ids=ERRORS)
def test_a_body_always_has_its_four_keys_and_a_length(error: Exception, role: Role, readable: bool) -> None:
    status, headers, body = refuse(error, role=role, readable=readable).answer()
    found = json.loads(body)
    assert list(found) == ["code", "message", "details", "hint"]
    assert isinstance(found["code"], str)
    assert isinstance(found["message"], str)
    assert dict(headers)[b"content-length"] == str(len(body)).encode()
    assert dict(headers)[b"proxy-status"] == f"PostgREST; error={found['code']}".encode()
    assert 300 <= status <= 599


STATES = [
    ("23503", 409),
    ("23505", 409),
    ("23502", 400),
    ("23514", 400),
    ("22P02", 400),
    ("42703", 400),
    ("22012", 400),
    ("42601", 400),
    ("25006", 405),
    ("21000", 500),
    ("42P01", 404),
    ("42883", 404),
    ("42P17", 500),
    ("P0001", 400),
    ("08006", 503),
    ("53300", 503),
    ("53400", 500),
    ("57P01", 503),
    ("57014", 500),
    ("0LP01", 403),
    ("0P000", 403),
    ("28000", 403),
    ("09000", 500),
    ("25001", 500),
    ("2D000", 500),
    ("38000", 500),
    ("39000", 500),
    ("3B000", 500),
    ("40001", 500),
    ("54001", 500),
    ("55006", 500),
    ("58030", 500),
    ("F0000", 500),
    ("HV000", 500),
    ("P0002", 500),
    ("XX000", 500),
    ("0A000", 400),
    ("44000", 400),
    ("PT402", 402),
    ("PT200", 200),
    ("PT599", 599),
    ("PT000", 500),
    ("PT199", 500),
    ("PT600", 500),
    ("PT204", 500),
    ("PT304", 500),
    ("PTabc", 500),
    ("PT٤٠٤", 500),
]


@pytest.mark.parametrize(("state", "status"), STATES)
def test_a_sqlstate_has_its_status(state: str, status: int) -> None:
    refusal = refuse(database(state), role="authenticated")
    assert (refusal.status, refusal.code) == (status, state)


PLANTED = "SELECT secret FROM mbaas.users at /var/lib/postgresql on db.internal:5432, row (1, hunter2)"


@pytest.mark.parametrize(
    "state", [state for state, status in STATES if (status >= 500 and not state.startswith("PT")) or state[:2] == "23"]
)
@pytest.mark.parametrize("readable", [True, False])
@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_what_a_caller_may_not_know_never_leaves(state: str, readable: bool, role: Role) -> None:
    message = PLANTED if not state.startswith("23") else "violates a constraint"
    details = PLANTED if state not in ("23503", "23505") or not readable else None
    error = database(state, message, details=details, hint=PLANTED, table="hidden", constraint="hidden_key")
    _, headers, body = refuse(error, role=role, readable=readable).answer()
    assert b"hunter2" not in body
    assert b"hidden" not in body
    assert not any(b"hunter2" in value for _, value in headers)


@pytest.mark.parametrize("state", ["42703", "42P01", "42601", "42501"])
def test_hints_of_names_do_not_leave(state: str) -> None:
    body = refuse(database(state, "no", details=PLANTED, hint=PLANTED), role="authenticated").body
    assert b"hunter2" not in body


@pytest.mark.parametrize(
    "error",
    [
        ValueError(PLANTED),
        MbaasError(PLANTED),
        errors.ConfigError(PLANTED),
        errors.MigrationError(PLANTED),
        KeyError("x"),
    ],
)
def test_an_error_that_is_not_the_callers_says_nothing(error: Exception) -> None:
    refusal = refuse(error, role="service_role")
    assert refusal == Refusal(status=500, code="PGRSTX00", message="Something went wrong on the server")


@pytest.mark.parametrize(
    "message",
    [
        'duplicate key value violates unique constraint "posts_secret_key"',
        'null value in column "secret" of relation "posts" violates not-null constraint',
        'new row for relation "posts" violates check constraint "posts_secret_check"',
        'insert or update on table "posts" violates foreign key constraint "posts_secret_fkey"',
        'update or delete on table "posts" violates foreign key constraint "c_secret_fkey" on table "c_secret"',
    ],
)
def test_a_constraint_over_what_is_not_readable_is_not_named(message: str) -> None:
    body = refuse(
        database("23505", message, details="Key (secret)=(hunter2) already exists."), role="authenticated"
    ).body
    assert b"secret" not in body
    assert b"violates" in body


@pytest.mark.parametrize(
    "detail",
    [
        '{"status":200}',
        '{"status":"200","headers":{}}',
        '{"status":99,"headers":{}}',
        '{"status":600,"headers":{}}',
        '{"status":204,"headers":{}}',
        '{"status":200,"headers":[]}',
        '{"status":200,"headers":{"a":1}}',
        "nope",
        "",
        "[" * 100_000,
    ],
    ids=lambda detail: detail[:30],
)
def test_a_raise_that_cannot_be_read_is_an_error_of_its_author(detail: str) -> None:
    refusal = refuse(database("PGRST", ABC, details=detail), role="anon")
    assert (refusal.status, refusal.code) == (500, "PGRST121")


def test_a_raise_cannot_smuggle_headers() -> None:
    wild = {
        "Set-Cookie": "a=b",
        "X-Ok": "1",
        "Content-Length": "0",
        "content-type": "text/html",
        "Bad Name": "x",
        "X-Crlf": "a\r\nX-Evil: 1",
        "X-Nul": "\0",
        "Transfer-Encoding": "chunked",
        "X-Wide": "名",
        "": "x",
        "X\r\nY": "z",
    }
    message = json.dumps({"code": "1\r\nX-Evil: 1", "message": "m"})
    raised = database("PGRST", message, details=json.dumps({"status": 400, "headers": wild}))
    _, headers, _ = refuse(raised, role="anon").answer()
    assert dict(headers) == {
        b"content-type": b"application/json; charset=utf-8",
        b"content-length": dict(headers)[b"content-length"],
        b"proxy-status": b"PostgREST; error=PGRST121",
        b"set-cookie": b"a=b",
        b"x-ok": b"1",
    }


def test_a_tokens_error_cannot_break_its_header() -> None:
    refusal = refuse(errors.TokenInvalid('bad "token"\\\r\nX-Evil: ü'), role="anon")
    assert (
        dict(refusal.headers)["www-authenticate"]
        == 'Bearer error="invalid_token", error_description="bad tokenX-Evil: "'
    )


POSTS = Collection(
    name="posts",
    key=("id",),
    fields=(
        Field(name="id", type=parse_type("uuid")),
        Field(name="slug", type=parse_type("text"), unique=True),
        Field(name="title", type=parse_type("text"), required=True, max_length=10),
        Field(name="author", type=parse_type("uuid"), references=Reference(table="profiles", columns=("id",))),
    ),
    indexes=(Index(name="posts_author_title", fields=(IndexField("author"), IndexField("title")), unique=True),),
    checks=(Check("posts_sane", "slug <> title"),),
)


@pytest.mark.parametrize(
    ("constraint", "message", "fields"),
    [
        ("posts_pkey", "", ("id",)),
        ("posts_slug_key", "", ("slug",)),
        ("posts_title_check", "", ("title",)),
        ("posts_author_fkey", "", ("author",)),
        ("posts_author_title", "", ("author", "title")),
        ("posts_sane", "", None),
        ("other", "", None),
        (None, 'null value in column "title" of relation "posts" violates not-null constraint', ("title",)),
        (None, "", None),
    ],
)
def test_the_fields_of_a_broken_constraint_are_found(
    constraint: str | None, message: str, fields: tuple[str, ...] | None
) -> None:
    error = database("23505", message, constraint=constraint, table="posts")
    assert fields_at_fault(POSTS, error) == fields
    assert is_readable(POSTS, error, lambda _: True) == (fields is not None)
    assert not is_readable(POSTS, error, lambda _: False)
    assert not is_readable(None, error, lambda _: True)
