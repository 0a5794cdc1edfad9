"""Litestar behind the edge: errors of both come out in one wording."""

from __future__ import annotations

import json

import msgspec
import pytest
from litestar import Litestar, asgi, get, post
from litestar.exceptions import PermissionDeniedException, ServiceUnavailableException
from litestar.params import JSONBody
from litestar.types import Receive, Scope, Send

from mbaas.config.settings import LimitSettings
from mbaas.core.errors import MbaasError, NotFound, RuleRefused
from mbaas.http import respond
from mbaas.http.edge import Surface
from mbaas.http.errors import status_of
from mbaas.http.uncaught import EXCEPTION_HANDLERS
from tests.edge import NO_RATES, Answer, Setup, ask, whoami


class Login(msgspec.Struct):
    email: str
    age: int


@get("/auth/v1/user", sync_to_thread=False)
def user() -> dict[str, str]:
    raise NotFound("nobody here")


@get("/auth/v1/broken", sync_to_thread=False)
def broken() -> dict[str, str]:
    raise ZeroDivisionError("secret")


@get("/auth/v1/denied", sync_to_thread=False)
def denied() -> dict[str, str]:
    raise PermissionDeniedException("not you")


@get("/auth/v1/away", sync_to_thread=False)
def away() -> dict[str, str]:
    raise ServiceUnavailableException("later")


@post("/auth/v1/token", status_code=200)
async def token(data: JSONBody[Login]) -> dict[str, str]:
    return {"email": data.email}


@asgi("/raw/v1", is_mount=True, copy_scope=False)
async def mount(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuleRefused("no")


def worded(error: MbaasError, scope: respond.Scope) -> respond.Reply:
    return respond.Reply(status_of(error), json.dumps({"said": error.message}).encode())


@pytest.fixture
def setup() -> Setup:
    app = Litestar(
        [user, broken, denied, away, token, mount],
        exception_handlers=dict(EXCEPTION_HANDLERS),
        openapi_config=None,
    )
    surfaces = [Surface(prefix="/auth/v1", dialect=worded), Surface(prefix="/rest/v1", app=whoami)]
    return Setup(app, surfaces=surfaces, limits=LimitSettings(max_body=100, rate=NO_RATES))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("GET", "/auth/v1/user", b"", 404, "nobody here"),
        ("GET", "/auth/v1/broken", b"", 500, "something failed on the server"),
        ("GET", "/auth/v1/denied", b"", 403, "not you"),
        ("GET", "/auth/v1/away", b"", 503, "later"),
        ("GET", "/auth/v1/nowhere", b"", 404, "there is no such route"),
        ("DELETE", "/auth/v1/user", b"", 405, "this route does not take that method"),
        ("POST", "/auth/v1/token", b'{"email":"a","age":"x"}', 400, "age: Expected `int`, got `str`"),
        ("POST", "/auth/v1/token", b"{", 400, "Input data was truncated"),
        ("POST", "/auth/v1/token", b"x" * 101, 413, "a body has at most 100 bytes here"),
    ],
)
async def test_errors_of_router_and_handlers_are_worded_once(
    setup: Setup, method: str, path: str, body: bytes, status: int, said: str
) -> None:
    answer = await ask(setup.edge, method, path, body=body)
    assert (answer.status, answer.json()) == (status, {"said": said})
    assert answer["x-request-id"]


async def test_a_body_that_grows_too_large_while_litestar_reads_it_is_a_413(setup: Setup) -> None:
    headers = {"transfer-encoding": "chunked", "content-type": "application/json", "content-length": "5"}
    answer = await ask(setup.edge, "POST", "/auth/v1/token", headers=headers, body=b"x" * 101)
    assert answer.status == 413


async def test_errors_of_mounted_apps_come_out_too_and_the_log_has_the_whole_path(setup: Setup) -> None:
    assert (await ask(setup.edge, path="/raw/v1/posts")).json()["code"] == "rule_refused"
    assert [line["path"] for line in setup.lines()] == ["/raw/v1/posts"]


async def test_a_prefix_may_answer_past_the_router(setup: Setup) -> None:
    answer = await ask(setup.edge, path="/rest/v1/posts")
    assert answer.json()["path"] == "/rest/v1/posts"


async def test_the_cause_of_a_500_is_in_the_log(setup: Setup) -> None:
    answer: Answer = await ask(setup.edge, path="/auth/v1/broken")
    line = next(line for line in setup.lines() if line["event"] == "request_failed")
    assert (line["request_id"], line["path"]) == (answer["x-request-id"], "/auth/v1/broken")
    assert "ZeroDivisionError: secret" in line["exception"]
