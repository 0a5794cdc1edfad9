"""The outermost ASGI app: everything that holds for every request, whatever its route.

In this order: request id and address, the canonical path, own answers (preflight, health, metrics), sizes, rate limits,
identity, the app under its time limit, and whatever goes wrong in it worded in the dialect of its prefix. Routes find
the outcome in ``scope["state"]``: ``request_id``, ``client_ip``, ``path``, and ``caller``, which
``mbaas.http.caller`` reads.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec

from mbaas.config.settings import LimitSettings, ServerSettings
from mbaas.core.errors import Forbidden, MbaasError, RateLimited, Timeout, Unavailable
from mbaas.core.identity import ANON, Identity
from mbaas.http.access import AccessLog
from mbaas.http.admission import Admission
from mbaas.http.answer import Answer, Known
from mbaas.http.caller import caller
from mbaas.http.cors import Cors
from mbaas.http.cycle import WHOLE
from mbaas.http.deadlines import Deadlines
from mbaas.http.errors import Dialect, MethodNotAllowed, default_dialect
from mbaas.http.exchange import Begin
from mbaas.http.exempt import is_exempt
from mbaas.http.exposed import ExposedKey
from mbaas.http.heads import Head, head_of
from mbaas.http.health import Health
from mbaas.http.limits import (
    LimitedReceive,
    canonical_path,
    check_headers,
    check_url,
    declared_length,
    leave_base,
)
from mbaas.http.logs import REQUEST_ID, Log
from mbaas.http.metrics import Metrics, Series
from mbaas.http.proxies import UNIX, Proxies
from mbaas.http.quick import CLIENT_GONE, QuickWay, stopping
from mbaas.http.ratelimit import RateLimiter
from mbaas.http.redact import redact_answer
from mbaas.http.request_id import new_request_id
from mbaas.http.respond import ASGIApp, Header, Receive, Reply, Scope, Send, send_reply

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

_CHECKED = "checked"
_T = TypeVar("_T")
_GOOD_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")


class Identify(Protocol):
    """Who a key and a token stand for. Raises Unauthenticated, TokenInvalid, TokenExpired."""

    def __call__(self, apikey: str | None, bearer: str | None, *, now: float) -> Identity: ...


Direct: TypeAlias = Callable[[Scope, Receive], Awaitable[Reply]]
"""An app that gives its whole answer, and raises what goes wrong."""


class Surface(msgspec.Struct, frozen=True, kw_only=True):
    """What is particular to one prefix of two parts. ``None`` takes the configured limit, 0 seconds are no limit.

    app: answers the prefix by itself, past the router, which saves a hot route its dispatch. It sees the whole path.
    direct: answers everything but HEAD there. begin: answers what is short there without a task.
    """

    prefix: str
    app: ASGIApp | None = None
    direct: Direct | None = None
    begin: Begin | None = None
    dialect: Dialect = default_dialect
    max_body: int | None = None
    body_timeout_s: float | None = None
    request_timeout_s: float | None = None


class Bounds(msgspec.Struct, frozen=True):
    """A surface with its numbers settled."""

    name: str
    app: ASGIApp
    direct: Direct | None
    begin: Begin | None
    dialect: Dialect
    max_body: int
    body_timeout_s: float
    request_timeout_s: float | None


def _ours(error: BaseException) -> MbaasError:
    if isinstance(error, MbaasError):
        return error
    if isinstance(error, Exception):
        return _Unexpected(error)
    return Unavailable("the server is shutting down", hint="send it again")


_COMMON = (
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"Authorization, apikey, Origin"),
)


class Edge:
    """Wraps the app. One of it serves one configuration."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        server: ServerSettings,
        limits: LimitSettings,
        identify: Identify,
        health: Health,
        metrics: Metrics,
        log: Log,
        access_log: AccessLog | None = None,
        surfaces: Iterable[Surface] = (),
        rates: RateLimiter | None = None,
    ) -> None:
        """access_log: ``None`` logs no requests. rates: shared with routes that do several operations in one request.
        Raises ConfigError for origins and proxies that are none."""
        self._app = app
        self._identify = identify
        self._health = health
        self._metrics = metrics
        self._log = log
        self._access_log = access_log
        self._limits = limits
        self.max_line = limits.max_url  # bytes of method and target, which are in order for sure
        self._cors = Cors(server.cors_origins)
        self._proxies = Proxies(server.trusted_proxies)
        self.direct = self._proxies.none  # clients connect themselves
        self._rates = rates or RateLimiter(limits.rate)
        self._deadlines = Deadlines()
        self.admission = Admission(limits.max_active)
        metrics.in_flight = self._in_flight
        self._exposed = ExposedKey(metrics, log)
        self._common: tuple[Header, ...] = _COMMON
        self._base = urlsplit(server.public_url or "").path.rstrip("/").encode()
        if (server.public_url or "").startswith("https://"):
            self._common += ((b"strict-transport-security", b"max-age=31536000"),)
        self._elsewhere = self._settled(Surface(prefix="other"))
        self._surfaces = {surface.prefix: self._settled(surface) for surface in surfaces}
        self.quick = QuickWay(self)
        self._own = {"/health/live": self._live, "/health/ready": self._ready, "/metrics": self._scrape}

    def _in_flight(self) -> int:
        return self.admission.active

    def _settled(self, surface: Surface) -> Bounds:
        def settled(own: float | None, configured: float) -> float:
            return configured if own is None else own

        return Bounds(
            surface.prefix,
            surface.app or self._app,
            surface.direct,
            surface.begin,
            surface.dialect,
            self._limits.max_body if surface.max_body is None else surface.max_body,
            settled(surface.body_timeout_s, self._limits.body_timeout_s),
            settled(surface.request_timeout_s, self._limits.request_timeout_s) or None,
        )

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        kind = scope["type"]
        if kind == "http":
            return self._serve(scope, receive, send)
        # no route of ours is a WebSocket; closing before accepting answers 403
        return send({"type": "websocket.close", "code": 1008})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.monotonic()
        head = head_of(scope)
        known = self.known(head)
        state = scope["state"]
        if "request_id" not in state:
            self.name(scope, known)
        admitted = "caller" in state  # by the quick way, which then left it to this one
        request_id: str = state["request_id"]
        REQUEST_ID.set(request_id)
        answer = Answer(send, known, request_id.encode(), whole=WHOLE in scope.get("extensions", ()))
        self.admission.active += 1
        bounds = self._elsewhere
        try:
            bounds = self.bounds(scope["path"])
            own = None if admitted else self.admit(scope, head, known)
            if own is not None:
                await send_reply(answer.send, await own)
            else:
                fields = head.fields
                if b"content-length" in fields or b"transfer-encoding" in fields:
                    declared_length(fields, max_body=bounds.max_body)
                    receive = LimitedReceive(
                        receive,
                        max_body=bounds.max_body,
                        timeout_s=bounds.body_timeout_s,
                        admission=self.admission,
                    )
                await self.in_time(self._answered(scope, receive, answer, bounds), bounds)
        except MbaasError as error:
            await self._refuse(error, scope, answer, bounds)
        except asyncio.CancelledError:
            # The server cancels a request when draining took too long, or when its client is gone and reads nothing.
            await self._refuse(stopping(), scope, answer, bounds)
            if not self._health.draining:
                answer.status = CLIENT_GONE
        except Exception as error:
            await self._refuse(_Unexpected(error), scope, answer, bounds)
        finally:
            self.done(scope, bounds, answer.status, started)

    async def _answered(self, scope: Scope, receive: Receive, answer: Answer, bounds: Bounds) -> None:
        if bounds.direct is None or scope["method"] == "HEAD":
            await bounds.app(scope, receive, answer.send)
        else:
            await answer.reply(await bounds.direct(scope, receive))

    async def in_time(self, answer: Coroutine[Any, Any, _T], bounds: Bounds) -> _T:
        """Waits for an answer, in a task that is for nothing else. Raises Timeout when it takes too long."""
        task = self._deadlines.enter(bounds.request_timeout_s)
        try:
            return await answer
        except asyncio.CancelledError:
            if not self._deadlines.leave(task):
                raise
            raise Timeout("the request took too long and was cancelled") from None
        finally:
            self._deadlines.leave(task)

    def name(self, scope: Scope, known: Known) -> None:
        state = scope["state"]
        state["request_id"] = known.request_id or new_request_id()
        if self._base:
            leave_base(scope, self._base)
        state["path"] = scope["path"]  # routers change the scope's own on the way down

    def done(self, scope: Scope, bounds: Bounds, status: int, started: float) -> None:
        """A request was answered. started: by ``time.monotonic``."""
        state, method = scope["state"], scope["method"]
        self.told(
            self.durations(method, bounds, status), method, state["path"], status, started, state["request_id"],
            state.get("client_ip", ""), state.get("caller"),
        )  # fmt: skip

    def durations(self, method: str, bounds: Bounds, status: int) -> Series:
        """Where such requests are counted."""
        return self._metrics.requests.series(method if method in METHODS else "other", bounds.name, str(status))

    def told(
        self, durations: Series, method: str, path: str, status: int, started: float, request_id: str, client_ip: str,
        caller: Identity | MbaasError | None,
    ) -> None:  # fmt: skip
        """The same, with what a scope would hold."""
        self.admission.active -= 1
        seconds = time.monotonic() - started
        durations.add(seconds)
        if self._access_log is not None:
            self._access_log(method, path, status, seconds, request_id, client_ip, caller)

    def is_own(self, path: str) -> bool:
        return path in self._own

    def bounds(self, path: str) -> Bounds:
        """By the first two parts of the path: ``/rest/v1``."""
        second = path.find("/", path.find("/", 1) + 1)
        return self._surfaces.get(path if second < 0 else path[:second], self._elsewhere)

    def known(self, head: Head) -> Known:
        known: Known | None = head.memo.get(self)
        if known is None:
            known = head.memo[self] = self._read(head.fields)
        return known

    def _read(self, fields: dict[bytes, bytes]) -> Known:
        given = fields.get(b"x-request-id")
        common = (*self._common, *self._cors.headers(fields.get(b"origin")))
        return Known(
            key=text.decode("latin-1") if (text := fields.get(b"apikey")) else None,
            bearer=bearer_of(fields.get(b"authorization")),
            request_id=None if given is None or not _GOOD_REQUEST_ID.fullmatch(given) else given.decode(),
            common=common,
            lines=b"".join(b"%b: %b\r\n" % header for header in common),
            browser=b"origin" in fields or b"sec-fetch-site" in fields,
        )

    def admit(self, scope: Scope, head: Head, known: Known) -> Awaitable[Reply] | None:
        """Everything before the app. A reply to come: the app is not asked. Raises what refuses the request."""
        client = scope.get("client")
        state = scope["state"]
        state["client_ip"] = ip = self.client_ip(client[0] if client else UNIX, scope["headers"])
        path = state["path"] = canonical_path(scope)
        method = scope["method"]
        if method not in METHODS:
            raise MethodNotAllowed("this method is not served")
        fields = head.fields
        if method == "OPTIONS" and b"access-control-request-method" in fields and b"origin" in fields:
            return _at_once(self._cors.preflight(fields))
        own = self._own.get(path)
        if own is not None and path != "/metrics":
            return own(scope)
        self.admission.check(path)
        check_url(scope, max_url=self._limits.max_url)
        if _CHECKED not in head.memo:
            check_headers(head.headers, fields)
            head.memo[_CHECKED] = True
        now = time.monotonic()
        found = self.identified(path, ip, head, known, state["request_id"], now)
        if isinstance(found, Identity):
            state["caller"] = found
            self.count(found, known, now)
        else:
            state["caller"] = ANON if is_exempt(method, path) else found
        return None if own is None else own(scope)

    def client_ip(self, peer: str, headers: list[Header]) -> str:
        return self._proxies.client_ip(peer, headers)

    def identified(
        self, path: str, ip: str, head: Head, known: Known, request_id: str, now: float
    ) -> Identity | MbaasError:
        """Who is asking, or what is wrong with the key or token. now: monotonic. Raises RateLimited."""
        if self._rates.any:
            self._rates.before_identity(ip, path, known.key, now)
        try:
            identity = self._identify(known.key, known.bearer, now=time.time())
        except MbaasError as error:
            return error
        if known.browser and identity.bypasses_rules:
            self._exposed.seen(head.fields, request_id=request_id, path=path, now=now)
        return identity

    def count(self, identity: Identity, known: Known, now: float) -> None:
        """One more request of that caller. Raises RateLimited."""
        if not self._rates.any:
            return
        key, bearer = known.key, known.bearer
        self._rates.after_identity(identity, key, now, by_key=bearer is None or bearer == key)

    async def _refuse(self, error: MbaasError, scope: Scope, answer: Answer, bounds: Bounds) -> None:
        reply = self.worded(error, scope, bounds)
        if not answer.status:
            await send_reply(answer.send, reply)
        elif not answer.complete:
            # Half an answer is out; returning without its end makes the server close the connection, so that the
            # client cannot take the half for the whole.
            self._log.warning("answer_cut_short", path=scope["state"]["path"], code=error.code)

    def worded(self, failed: BaseException, scope: Scope, bounds: Bounds) -> Reply:
        """An error in the dialect of its prefix, logged when it is ours to mend."""
        error = _ours(failed)
        try:
            reply = bounds.dialect(error, scope)
        except Exception as broken:
            error = _Unexpected(broken)
            reply = default_dialect(error, scope)
        cause = error.__cause__ or error
        if reply.status == 500:
            self._log.error(
                "request_failed", method=scope["method"], path=scope["state"]["path"], code=error.code, exc_info=cause
            )
        elif isinstance(error, RateLimited):
            self._metrics.count("rate_limited", bounds.name)
        return redact_answer(reply)

    async def _live(self, scope: Scope) -> Reply:
        return _read_only(scope, self._health.live())

    async def _ready(self, scope: Scope) -> Reply:
        return _read_only(scope, await self._health.ready())

    async def _scrape(self, scope: Scope) -> Reply:
        """For the service key only: behind a proxy every caller is local, so an address proves nothing."""
        if not caller(scope).bypasses_rules:
            raise Forbidden("metrics are for the service key", hint="send it as apikey or as bearer token")
        return _read_only(scope, self._metrics.reply())


class _Unexpected(MbaasError):
    """An exception not ours. The caller learns nothing of it; the log gets it as the cause."""

    def __init__(self, cause: Exception) -> None:
        super().__init__("something failed on the server")
        self.__cause__ = cause


async def _at_once(reply: Reply) -> Reply:
    return reply


def _read_only(scope: Scope, reply: Reply) -> Reply:
    if scope["method"] not in ("GET", "HEAD"):
        raise MethodNotAllowed("this route takes GET")
    return reply


def bearer_of(authorization: bytes | None) -> str | None:
    """The token of an ``Authorization`` header (RFC 6750), ``None`` for none and for other schemes.

    >>> bearer_of(b"bearer abc"), bearer_of(b"Basic abc")
    ('abc', None)
    """
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(b" ")
    if scheme != b"Bearer" and scheme.lower() != b"bearer":
        return None
    return token.strip().decode("latin-1") or None
