"""Every decision of the client, without I/O: a flow yields requests, is sent answers, and returns a result.

The synchronous and the asynchronous client drive the same flows, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec

from mbaas_sdk.errors import MbaasError, Unauthenticated, error_for
from mbaas_sdk.types import Operation, Page, Record, Result, Session, User

T = TypeVar("T")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """path: below the server's URL. json: the body as JSON bytes, ``None`` for none."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    headers: dict[str, str] = {}
    json: bytes | None = None


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: bytes


Flow: TypeAlias = Generator[Request, Answer, T]


class State:
    """The key, and the session of whoever is signed in. now: the clock, Unix seconds."""

    margin_s = 30

    def __init__(self, key: str, now: Any) -> None:
        self.key = key
        self.now = now
        self.session: Session | None = None


def send(state: State, request: Request) -> Flow[Answer]:
    """One request as the caller, refreshing a session that is about to end. Raises the server's refusal."""
    session = state.session
    if session is not None and session.expires_at - state.margin_s <= state.now():
        session = yield from refresh(state)
    answer = yield _as(state, request, session.access_token if session else state.key)
    return checked(answer)


def checked(answer: Answer) -> Answer:
    if answer.status >= 400:
        raise error_for(answer.status, _json(answer.body), answer.headers.get("retry-after"))
    return answer


def _as(state: State, request: Request, token: str) -> Request:
    headers = {"apikey": state.key, "authorization": f"Bearer {token}", **request.headers}
    if request.json is not None:
        headers["content-type"] = "application/json"
    return msgspec.structs.replace(request, headers=headers)


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        return None


# --- auth ------------------------------------------------------------------------------------------------------------


def sign_up(state: State, email: str, password: str, data: Record | None) -> Flow[Session | User]:
    """A session, or the user alone while the address waits for confirmation."""
    body = msgspec.json.encode({"email": email, "password": password, "data": data or {}})
    answer = checked((yield _as(state, Request(method="POST", path="/auth/v1/signup", json=body), state.key)))
    if "access_token" in (_json(answer.body) or {}):
        return _keep(state, answer)
    return msgspec.json.decode(answer.body, type=User)


def sign_in(state: State, email: str, password: str) -> Flow[Session]:
    return (yield from _token(state, "password", {"email": email, "password": password}))


def refresh(state: State) -> Flow[Session]:
    if state.session is None:
        raise Unauthenticated("nobody is signed in", hint="call sign_in first")
    try:
        return (yield from _token(state, "refresh_token", {"refresh_token": state.session.refresh_token}))
    except MbaasError as error:
        if error.status < 500 and error.status != 429:
            state.session = None
        raise


def _token(state: State, grant: str, body: Record) -> Flow[Session]:
    request = Request(
        method="POST", path="/auth/v1/token", params=(("grant_type", grant),), json=msgspec.json.encode(body)
    )
    return _keep(state, checked((yield _as(state, request, state.key))))


def _keep(state: State, answer: Answer) -> Session:
    state.session = msgspec.json.decode(answer.body, type=Session)
    return state.session


def sign_out(state: State, scope: str) -> Flow[None]:
    yield from send(state, Request(method="POST", path="/auth/v1/logout", params=(("scope", scope),)))
    if scope != "others":
        state.session = None


def get_user(state: State) -> Flow[User]:
    answer = yield from send(state, Request(method="GET", path="/auth/v1/user"))
    return msgspec.json.decode(answer.body, type=User)


def create_user(state: State, body: Record) -> Flow[User]:
    request = Request(method="POST", path="/auth/v1/admin/users", json=msgspec.json.encode(body))
    answer = yield from send(state, request)
    return msgspec.json.decode(answer.body, type=User)


def admin(state: State, method: str, path: str, body: Any = None) -> Flow[Any]:
    json = None if body is None else msgspec.json.encode(body)
    answer = yield from send(state, Request(method=method, path=f"/auth/v1/admin/{path}", json=json))
    return _json(answer.body)


# --- records ---------------------------------------------------------------------------------------------------------


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A collection and which of its records are meant; each method gives a narrower one."""

    collection: str
    params: tuple[tuple[str, str], ...] = ()
    key: str | None = None

    def with_param(self, name: str, value: str) -> Query:
        return msgspec.structs.replace(self, params=(*self.params, (name, value)))

    def with_key(self, key: str) -> Query:
        return msgspec.structs.replace(self, key=key)

    @property
    def is_narrowed(self) -> bool:
        return any(name not in {"select", "order", "limit", "offset"} for name, _ in self.params)


def literal(operator: str, value: Any) -> str:
    """A filter's right side in the wire's grammar.

    >>> literal("eq", 5), literal("is", None), literal("in", ["a,b", "c"])
    ('eq.5', 'is.null', 'in.("a,b","c")')
    """
    if operator.removeprefix("not.") == "in":
        return f"{operator}.({','.join(_quoted(item) for item in value)})"
    if isinstance(value, list | tuple):
        return f"{operator}.{{{','.join(_quoted(item) for item in value)}}}"
    if isinstance(value, Mapping):
        return f"{operator}.{msgspec.json.encode(value).decode()}"
    return f"{operator}.{_plain(value)}"


def _plain(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _quoted(value: Any) -> str:
    return '"' + _plain(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def fetch(state: State, query: Query, *, count: bool) -> Flow[Page]:
    headers = {"prefer": "count=exact"} if count else {}
    request = Request(method="GET", path=_path(query), params=query.params, headers=headers)
    answer = yield from send(state, request)
    total = answer.headers.get("content-range", "").partition("/")[2]
    return Page(msgspec.json.decode(answer.body), int(total) if total.isdigit() else None)


def write(state: State, method: str, query: Query, body: Any, prefer: Iterable[str] = ()) -> Flow[list[Record]]:
    """The records as they then are. An update or delete that says nothing about which records is refused here."""
    if method in {"PATCH", "DELETE"} and not query.is_narrowed:
        raise ValueError("this would touch every record: say which ones with where()")
    request = Request(
        method=method,
        path=_path(query),
        params=query.params,
        headers={"prefer": ",".join(("return=representation", *prefer)), **_once(query.key)},
        json=None if body is None else msgspec.json.encode(body),
    )
    answer = yield from send(state, request)
    records: list[Record] = msgspec.json.decode(answer.body)
    return records


def call(state: State, function: str, arguments: Record) -> Flow[Any]:
    request = Request(method="POST", path=f"/rest/v1/rpc/{function}", json=msgspec.json.encode(arguments))
    answer = yield from send(state, request)
    return _json(answer.body)


def batch(state: State, operations: Iterable[Operation], key: str | None) -> Flow[list[Result]]:
    """All or nothing; the error of the one that failed."""
    body = msgspec.json.encode({"operations": tuple(operations)})
    answer = yield from send(state, Request(method="POST", path="/batch/v1", headers=_once(key), json=body))
    return msgspec.json.decode(answer.body, type=_Batch).results


class _Batch(msgspec.Struct):
    results: list[Result]


def _once(key: str | None) -> dict[str, str]:
    return {} if key is None else {"idempotency-key": key}


def _path(query: Query) -> str:
    return f"/rest/v1/{query.collection}"
