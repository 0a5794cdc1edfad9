"""Logs: shape, secrets, and a reader that does not read."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbaas.config.settings import LogSettings
from mbaas.core.observe import (
    DatabaseBack,
    DatabaseLost,
    HookFailed,
    HookRested,
    MigrationStepBegan,
    QueryRan,
    SecurityEvent,
)
from mbaas.http.access import access_log, json_access_log, log_access_log
from mbaas.http.logs import REQUEST_ID, LineWriter, Log, make_log, redirect_standard_logging
from mbaas.http.metrics import Metrics
from mbaas.http.redact import HIDDEN, is_secret_name, redact, redact_text
from mbaas.http.telemetry import observer

JWT = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiI3ZjFiIiwicm9sZSI6ImF1dGgifQ.c2lnbmF0dXJlLWJ5dGVz"
SECRETS = (
    JWT,
    JWT.rsplit(".", 1)[0] + ".",
    "sb_secret_8a1f0b2c3d4e5f60718293a4b5c6d7e8",
    "sb_publishable_8a1f0b2c3d4e5f60718293a4",
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
    "$2b$12$abcdefghijklmnopqrstuuJ4Dx",
)


def log_to(stream: io.StringIO, **settings: Any) -> tuple[Log, LineWriter]:
    writer = LineWriter(stream)
    return make_log(LogSettings(**{"format": "json", **settings}), writer), writer


def lines(stream: io.StringIO, writer: LineWriter) -> list[dict[str, Any]]:
    writer.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["{}", "token {} refused", "Authorization: Bearer {}", "[{}]", "a={}&b", '"{}"'])
def test_a_text_loses_what_looks_like_a_secret(secret: str, around: str) -> None:
    text = redact_text(around.format(secret))
    assert secret not in text
    assert secret.split(".")[-1][-8:] not in text or secret.endswith(".")
    assert HIDDEN in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /auth/v1/verify?token=abc&type=signup", "GET /auth/v1/verify?token=***&type=signup"),
        ("/callback?code=c0de&state=s", "/callback?code=***&state=s"),
        ("?apikey=k#access_token=t&refresh_token=r", "?apikey=***#access_token=***&refresh_token=***"),
        ("/x?token_hash=pkce_1", "/x?token_hash=***"),
        ("postgresql://app:hunter2@db.example/x", "postgresql://app:***@db.example/x"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ***"),
        ("{'password': 'hunter2', 'email': 'a@b.c'}", "{'password': ***, 'email': 'a@b.c'}"),
        ('{"refresh_token":"abc\\"def","x":1}', '{"refresh_token":***,"x":1}'),
        ("(b'apikey', b'k1')", "(b'apikey', b***)"),
        ("-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY----- x", "*** x"),
        ("-----BEGIN PRIVATE KEY-----\nMHc", "***"),
    ],
)
def test_what_says_where_the_secret_was_stays(text: str, shown: str) -> None:
    assert redact_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "/rest/v1/posts",
        "7f1b2c5e-0000-4000-8000-000000000001",
        "the code is wrong",
        "posts has no 'titel'",
        "https://app.example/a?b=c",
        "bearer of news",
        "select title from posts where id = $1::uuid",
        "barcode=4006381333931",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "name",
    "password Password new_password newPassword apikey Api-Key X-Api-Key authorization Cookie Set-Cookie access_token "
    "refreshToken client_secret jwt otp token_hash webhook_secret signing_key proxy-authorization".split(),
)
def test_fields_that_hold_secrets_are_hidden_whole(name: str) -> None:
    assert is_secret_name(name)
    assert redact({name: "hunter2", "deep": [{name: "hunter2"}]}) == {name: HIDDEN, "deep": [{name: HIDDEN}]}


@pytest.mark.parametrize("name", "title code key keys email status token_type passwordless path user_id".split())
def test_other_fields_are_not(name: str) -> None:
    assert redact({name: "x"}) == {name: "x"}


def test_headers_as_pairs_are_known() -> None:
    headers = [(b"apikey", b"k1"), (b"accept", b"*/*"), ("Authorization", "Bearer abcdefgh")]
    assert redact(headers) == [["apikey", HIDDEN], ["accept", "*/*"], ["Authorization", HIDDEN]]


@given(st.text("abcxyzABCXYZ019-._~%+/=;:@!$*,()?", min_size=12, max_size=40))
def test_whatever_a_token_in_a_link_is_it_goes(token: str) -> None:
    link = f"/auth/v1/verify?type=recovery&token={token}"
    assert redact_text(link) == "/auth/v1/verify?type=recovery&token=***"


def test_a_value_without_end_has_one() -> None:
    endless: dict[str, Any] = {}
    endless["self"] = endless
    assert "…" in json.dumps(redact(endless), ensure_ascii=False)


def test_no_secret_reaches_the_output_by_any_way() -> None:
    stream = io.StringIO()
    log, writer = log_to(stream, level="debug")
    undo = redirect_standard_logging(log, "debug")
    try:
        log.info("key", apikey="hunter2", headers={"Authorization": f"Bearer {JWT}"}, url=f"/x?access_token={JWT}")
        try:
            raise ValueError(f"cannot use {JWT} with password='x' and {{'password': 'hunter2'}}")
        except ValueError:
            log.exception("failed")
            logging.getLogger("some.library").exception("failed with %s", JWT)
        logging.getLogger("some.library").warning("connecting to postgresql://u:hunter2@h/d")
        log.bind(refresh_token="hunter2").warning("bound")
    finally:
        undo()
    writer.close()
    text = stream.getvalue()
    assert text.count("\n") == 5
    for secret in (JWT, JWT.split(".")[2], "hunter2"):
        assert secret not in text
    assert "ValueError" in text
    assert "some.library" in text


def test_a_line_is_json_with_time_level_event_and_request_id_first() -> None:
    stream = io.StringIO()
    log, writer = log_to(stream)
    token = REQUEST_ID.set("req-00000001")
    log.warning("odd\nthing", path="/a\nb")
    log.debug("not at this level")
    REQUEST_ID.reset(token)
    (line,) = lines(stream, writer)
    assert list(line)[:3] == ["time", "level", "event"]
    assert line["request_id"] == "req-00000001"
    assert (line["level"], line["event"], line["path"]) == ("warning", "odd\nthing", "/a\nb")
    assert line["time"].endswith("Z")


def test_for_people_there_are_columns() -> None:
    stream = io.StringIO()
    log, writer = log_to(stream, format="console")
    access = log_access_log(log)
    access("GET", "/x", 200, 0.0012, "r", "::1", None)
    writer.close()
    assert "request" in stream.getvalue()
    assert "duration_ms=1.2" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


@pytest.mark.parametrize(
    ("settings", "terminal", "start"),
    [
        ({"format": "json"}, True, "{"),
        ({"format": "auto"}, False, "{"),
        ({"format": "auto"}, True, "2"),
        ({"format": "console"}, False, "2"),
        ({"requests": False}, True, None),
        ({"level": "warning"}, False, None),
    ],
)
def test_requests_are_logged_as_the_settings_say(settings: dict[str, Any], terminal: bool, start: str | None) -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    asked = LogSettings(**settings)
    write = access_log(asked, writer=writer, log=make_log(asked, writer, terminal=terminal), terminal=terminal)
    if write is not None:
        write("GET", "/x", 200, 0.0, "", "", None)
    writer.close()
    assert (stream.getvalue()[:1] or None) == start


def test_an_access_line_hides_tokens_in_paths_and_is_not_endless() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    write = json_access_log(writer)
    for path in (f"/x/{JWT}", "/" + "a" * 5000):
        write("GET", path, 200, 0.001, "", "", None)
    first, second = lines(stream, writer)
    assert first["path"] == "/x/***"
    assert len(second["path"]) < 600


def test_access_lines_tell_the_time_whichever_way_the_clock_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    write = json_access_log(writer)
    for moment in (1000.0, 1000.0004, 1000.002, 999.999, 0.25, 2000.5):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        write("GET", "/", 200, 0.001, "", "", None)
    assert [line["time"][11:] for line in lines(stream, writer)] == [
        "00:16:40.000Z", "00:16:40.000Z", "00:16:40.002Z", "00:16:39.999Z", "00:00:00.250Z", "00:33:20.500Z",
    ]  # fmt: skip


def test_each_request_has_one_line_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LineWriter, "PAUSE_S", 0.0001)  # so that its thread takes what is told meanwhile
    stream = io.StringIO()
    writer = LineWriter(stream, max_lines=100_000)
    write = json_access_log(writer)
    for number in range(20_000):
        write("GET", "/", 200, 0.001, str(number), "", None)
    ids = [line["request_id"] for line in lines(stream, writer)]
    assert sorted(map(int, ids)) == list(range(20_000))
    write("GET", "/", 200, 0.001, "after", "", None)
    assert lines(stream, writer)[-1]["request_id"] == "after"


def test_a_reader_that_does_not_read_costs_lines_and_no_time() -> None:
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w")
    writer = LineWriter(stream, max_lines=50)
    for _ in range(3):
        for _ in range(2000):
            writer.write("x" * 1000)
    assert writer.dropped >= 5000
    drained = threading.Thread(target=lambda: [None for _ in iter(lambda: os.read(reading, 65536), b"")])
    drained.start()
    writer.close(5)
    stream.close()
    drained.join(5)
    os.close(reading)


def test_a_reader_that_is_gone_costs_lines_only() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    writer = LineWriter(stream)
    writer.write("nobody reads this")
    writer.close()
    assert writer.dropped == 1
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_observations_become_lines_and_numbers() -> None:
    stream = io.StringIO()
    log, writer = log_to(stream)
    metrics = Metrics()
    observe = observer(log, metrics)
    for told in (
        QueryRan("select 1", 2.0),
        QueryRan("select pg_sleep(2)", 2000.0),
        HookFailed("slugs.x", "RecordCreated", "ValueError()", "Traceback …"),
        HookRested("slugs.x", "RecordCreated", 60.0),
        DatabaseLost("reset by peer"),
        SecurityEvent("refresh_token_reused", "user 1"),
        MigrationStepBegan("add posts.slug", 1, 2),
    ):
        observe(told)
    text = metrics.reply().body.decode()
    assert "mbaas_database_up 0.0" in text
    assert 'mbaas_events_total{event="hook_failed",kind="slugs.x"} 1.0' in text
    assert 'mbaas_events_total{event="security_event",kind="refresh_token_reused"} 1.0' in text
    assert "mbaas_statement_duration_seconds_count 2.0" in text
    assert 'mbaas_statement_duration_seconds_bucket{le="0.0025"} 1.0' in text
    observe(DatabaseBack(1200.0))
    assert "mbaas_database_up 1.0" in metrics.reply().body.decode()
    told_lines = lines(stream, writer)
    assert (told_lines[0]["level"], told_lines[1]["on"]) == ("warning", "RecordCreated")
    events = [line["event"] for line in told_lines]
    assert events == [
        "query_ran",
        "hook_failed",
        "hook_rested",
        "database_lost",
        "security_event",
        "migration_step_began",
        "database_back",
    ]
