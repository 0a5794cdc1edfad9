"""The default wording of errors, and the status of every class."""

from __future__ import annotations

import json

import pytest

from mbaas.core import errors
from mbaas.core.identity import ANON
from mbaas.http.caller import caller
from mbaas.http.errors import (
    BodyTooSlow,
    HeadersTooLarge,
    MethodNotAllowed,
    PathInvalid,
    UrlTooLong,
    default_dialect,
    status_of,
)
from mbaas.http.respond import Message, Reply, send_json, send_reply

SCOPE = {"type": "http", "state": {"request_id": "r-12345678"}}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.UnknownField("x"), 400),
        (errors.InvalidValue("x"), 400),
        (errors.TokenExpired("x"), 401),
        (errors.RuleRefused("x"), 403),
        (errors.HookRefused("x"), 400),
        (errors.HookRefused("x", status=422), 422),
        (errors.UnknownCollection("x"), 404),
        (errors.NotFound("x"), 404),
        (errors.Conflict("x"), 409),
        (errors.TooLarge("x"), 413),
        (errors.RateLimited("x", retry_after_s=3), 429),
        (errors.Unavailable("x"), 503),
        (errors.Timeout("x"), 504),
        (errors.HookBroken("x"), 500),
        (errors.ConfigError("x"), 500),
        (errors.DatabaseError("x", sqlstate="XX000"), 500),
        (PathInvalid("x"), 400),
        (MethodNotAllowed("x"), 405),
        (BodyTooSlow("x"), 408),
        (UrlTooLong("x"), 414),
        (HeadersTooLarge("x"), 431),
    ],
)
def test_every_class_has_a_status(error: errors.MbaasError, status: int) -> None:
    assert status_of(error) == status
    assert default_dialect(error, SCOPE).status == status


def test_the_body_has_code_message_hint_and_details() -> None:
    reply = default_dialect(errors.UnknownField("posts has no 'titel'", hint="perhaps title?"), SCOPE)
    assert json.loads(reply.body) == {
        "code": "query_unknown_field",
        "message": "posts has no 'titel'",
        "hint": "perhaps title?",
        "details": None,
    }


def test_a_500_tells_the_request_id_and_nothing_of_the_cause() -> None:
    error = errors.DatabaseError("relation secret_table at /var/lib", sqlstate="XX000", details="row (1, pw)")
    body = json.loads(default_dialect(error, SCOPE).body)
    assert body["code"] == "database_error"
    assert "r-12345678" in body["hint"]
    assert not any(word in str(body) for word in ("secret_table", "/var", "pw"))


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (errors.RateLimited("x", retry_after_s=7), (b"retry-after", b"7")),
        (errors.Unavailable("x"), (b"retry-after", b"1")),
        (errors.TokenInvalid("x"), (b"www-authenticate", b"Bearer")),
    ],
)
def test_headers_say_when_to_retry_and_how_to_authenticate(
    error: errors.MbaasError, header: tuple[bytes, bytes]
) -> None:
    assert header in default_dialect(error, SCOPE).headers


def test_the_caller_is_what_the_edge_stored() -> None:
    assert caller({"state": {"caller": ANON}}) is ANON
    with pytest.raises(errors.TokenExpired):
        caller({"state": {"caller": errors.TokenExpired("expired")}})
    with pytest.raises(errors.Unauthenticated):
        caller({"state": {}})


async def test_an_answer_has_a_length_and_a_type_only_when_it_has_a_body() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await send_json(send, 200, b"{}", [(b"x-a", b"1")])
    await send_reply(send, Reply(204))
    await send_reply(send, Reply(200))
    assert dict(sent[0]["headers"]) == {
        b"x-a": b"1",
        b"content-type": b"application/json; charset=utf-8",
        b"content-length": b"2",
    }
    assert (sent[1]["body"], sent[2]["headers"], sent[4]["headers"]) == (b"{}", [], [(b"content-length", b"0")])
