"""The quick way: short requests, admitted as any other and answered from a callback (``mbaas.http.exchange``).

What was concluded from the method, the path and the head of a request is kept with the head, and what its surface made
of the shape of its query beside it. The next one that has the same is only looked at for what may differ: who it is
from, how much of that there was, the literals in its query and its body.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from mbaas.core.errors import MbaasError, Unavailable
from mbaas.core.identity import ANON, Identity
from mbaas.http.admission import VITAL, turned_away
from mbaas.http.answer import Known, ending_of, known_opening, lines_of
from mbaas.http.cycle import whole_answer
from mbaas.http.exchange import Again, Exchange
from mbaas.http.exempt import is_exempt
from mbaas.http.limits import too_large
from mbaas.http.logs import REQUEST_ID
from mbaas.http.metrics import Series
from mbaas.http.request_id import new_request_id
from mbaas.http.respond import Reply, Scope

if TYPE_CHECKING:
    from mbaas.http.edge import Bounds, Edge

CLIENT_GONE = 499  # in logs and metrics only: nobody is there to read a status


class QuickWay:
    """Of one edge."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._turned_away: dict[str, Reply] = {}

    def __call__(self, exchange: Exchange) -> bool:
        """Takes a request that some surface answers at once or from a callback; the same in everything else.

        What it refuses is refused here. What no surface takes is left, admitted, to the ordinary way.
        """
        now = time.monotonic()
        edge, head, line = self._edge, exchange.head, exchange.known
        route: _Route | None
        if line is None:
            route, again = head.memo.get((self, exchange.method, exchange.path)), None
        else:
            route, again = line
        if route is None or len(exchange.line) > edge.max_line or len(exchange.body) > route.bounds.max_body:
            return self._first(exchange, now)
        known, peer, admission = route.known, exchange.peer, edge.admission
        request = _Request(
            edge,
            exchange,
            route,
            now,
            known.request_id or new_request_id(),
            peer if edge.direct else edge.client_ip(peer, head.headers),
        )
        full = admission.full
        admission.active += 1
        if full and route.path not in VITAL:
            request.settle(self._turned_away.get(route.bounds.name) or self._busy(request.scope, route.bounds))
            return True
        try:
            found = edge.identified(route.path, request.client_ip, head, known, request.request_id, now)
            if isinstance(found, Identity):
                request.caller = found
                edge.count(found, known, now)
                if again is not None and again(request, found):
                    return True
                if route.bounds.begin is not None and self._taken(exchange, route, route.bounds.begin(request)):
                    return True
            else:
                request.caller = ANON if is_exempt(exchange.method, route.path) else found
        except Exception as error:
            request.settle(error)
            return True
        _ = request.scope  # which tells the ordinary way
        admission.active -= 1
        return False

    def _taken(self, exchange: Exchange, route: _Route, taken: bool | Again) -> bool:
        """Whether it was; with what is to be asked next time, which is kept."""
        if callable(taken):
            exchange.keep((route, taken))
            return True
        return taken

    def _first(self, exchange: Exchange, started: float) -> bool:
        """One of a kind that did not come before."""
        edge = self._edge
        known = edge.known(exchange.head)
        scope = exchange.scope
        edge.name(scope, known)
        path = scope["path"]
        bounds = edge.bounds(path)
        if edge.admission.full and path not in VITAL and not edge.is_own(path):
            edge.admission.active += 1
            _write(exchange, known, scope["state"]["request_id"], self._busy(scope, bounds))
            edge.done(scope, bounds, 503, started)
            return True
        if bounds.begin is None:
            return False
        edge.admission.active += 1
        request = _First(edge, exchange, known, bounds, started)
        try:
            edge.admit(scope, exchange.head, known)
            if len(exchange.body) > bounds.max_body:
                raise too_large(bounds.max_body)
            taken = bounds.begin(request)
        except Exception as error:
            request.settle(error)
            return True
        if not taken:
            edge.admission.active -= 1
            return False
        if callable(taken):
            route = _Route(bounds, known, exchange.method, scope["path"], scope["raw_path"])
            exchange.head.memo[self, exchange.method, exchange.path] = route
            self._taken(exchange, route, taken)
        return True

    def _busy(self, scope: Scope, bounds: Bounds) -> Reply:
        """What the admission limit says, for next to nothing: it is when most is asked that it must not cost."""
        reply = self._turned_away.get(bounds.name)
        if reply is None:
            reply = self._turned_away[bounds.name] = self._edge.worded(turned_away(), scope, bounds)
        return reply


class _Route(msgspec.Struct, frozen=True):
    """Where requests of one method, path and head go. path, raw_path: canonical."""

    bounds: Bounds
    known: Known
    method: str
    path: str
    raw_path: bytes
    durations: dict[int, Series] = {}  # by status; each has its own


class _First(msgspec.Struct, eq=False):
    """One that nothing was known of: what the edge finds is in its scope."""

    edge: Edge
    exchange: Exchange
    known: Known
    bounds: Bounds
    started: float

    @property
    def scope(self) -> Scope:
        return self.exchange.scope

    def settle(self, outcome: Reply | BaseException) -> None:
        """Writes the answer, and is done."""
        scope = self.exchange.scope
        reply = outcome if isinstance(outcome, Reply) else self.edge.worded(outcome, scope, self.bounds)
        _write(self.exchange, self.known, scope["state"]["request_id"], reply)
        self.done(reply.status)

    def done(self, status: int) -> None:
        self.edge.done(self.exchange.scope, self.bounds, status, self.started)

    def wait(self, answer: Coroutine[Any, Any, Reply]) -> None:
        request_id = self.exchange.scope["state"]["request_id"]
        self.exchange.run(_waited(self, answer, self.edge, self.bounds, request_id))


class _Request(msgspec.Struct, eq=False):
    """One whose route is known. caller: what the edge found, ``None`` before that."""

    edge: Edge
    exchange: Exchange
    route: _Route
    started: float
    request_id: str
    client_ip: str
    caller: Identity | MbaasError | None = None

    def settle(self, outcome: Reply | BaseException) -> None:
        """Writes the answer, and is done."""
        route = self.route
        reply = outcome if isinstance(outcome, Reply) else self.edge.worded(outcome, self.scope, route.bounds)
        _write(self.exchange, route.known, self.request_id, reply)
        self.done(reply.status)

    def done(self, status: int) -> None:
        route, edge = self.route, self.edge
        durations = route.durations.get(status)
        if durations is None:
            durations = route.durations[status] = edge.durations(route.method, route.bounds, status)
        edge.told(
            durations, route.method, route.path, status, self.started, self.request_id, self.client_ip, self.caller
        )

    def wait(self, answer: Coroutine[Any, Any, Reply]) -> None:
        self.exchange.run(_waited(self, answer, self.edge, self.route.bounds, self.request_id))

    @property
    def scope(self) -> Scope:
        """With all that is known of the request by now."""
        scope, route = self.exchange.scope, self.route
        scope["path"], scope["raw_path"] = route.path, route.raw_path
        scope["state"].update(request_id=self.request_id, path=route.path, client_ip=self.client_ip, caller=self.caller)
        return scope


async def _waited(
    request: _First | _Request, answer: Coroutine[Any, Any, Reply], edge: Edge, bounds: Bounds, request_id: str
) -> None:
    """Settles with what comes of the answer."""
    REQUEST_ID.set(request_id)
    outcome: Reply | BaseException
    try:
        outcome = await edge.in_time(answer, bounds)
    except asyncio.CancelledError:
        if request.exchange.gone:
            request.done(CLIENT_GONE)
            return
        outcome = stopping()
    except Exception as error:
        outcome = error
    request.settle(outcome)


def _write(exchange: Exchange, known: Known, request_id: str, reply: Reply) -> None:
    body = reply.body
    if exchange.keep_alive and reply.status != 204:
        opening = known_opening(reply.status, reply.headers, reply.content_type if body else None)
        exchange.finish(
            b"%b%bx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b"
            % (opening, known.lines, request_id.encode(), len(body), body)
        )
    else:
        headers, lines = (*reply.headers, *ending_of(reply)), lines_of(known, request_id.encode())
        exchange.finish(whole_answer(reply.status, headers, lines, body, keep_alive=exchange.keep_alive))


def stopping() -> Unavailable:
    """For a request that is cancelled, and whose client may still be there."""
    return Unavailable("the server is shutting down", hint="send it again")
