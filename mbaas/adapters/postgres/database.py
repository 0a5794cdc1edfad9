"""The one door to PostgreSQL: statements in, text out.

All values travel as PostgreSQL's text form; the server checks each against its type while binding, before it has looked
at any row. Failures are bounded: while the server is away a caller gets Unavailable within the acquire timeout, and
recovery needs nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import asyncpg
import msgspec

from mbaas.adapters.postgres.coalesce import (
    LINKS,
    LOCK_TIMEOUT_S,
    STATEMENT_TIMEOUT_S,
    Ask,
    Coalescer,
    Row,
    answered,
    encoded,
)
from mbaas.adapters.postgres.connection import connect
from mbaas.adapters.postgres.errors import DRIVER_ERRORS, is_failover, translate
from mbaas.adapters.postgres.lists import Lists
from mbaas.adapters.postgres.pool import CLEAN, ROLLBACK, Link, Pool
from mbaas.adapters.postgres.server_check import check_server
from mbaas.config.settings import DatabaseSettings
from mbaas.core.errors import Unavailable
from mbaas.core.identity import Identity, Role
from mbaas.core.observe import Observe, QueryRan, ignore
from mbaas.core.sql.fragment import Bindable, Statement
from mbaas.core.sql.template import Together

_TRIES = 3
_RETRIED = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
# One message. The cleaning comes before the commit, since that does not fail in a transaction which already has failed:
# it then rolls back without a word. What is deferred to the commit is done before the cleaning, still as the caller.
_COMMIT = f"set constraints all immediate; {CLEAN}; commit"
_UNDO = f"set constraints all immediate; {ROLLBACK}"  # what the commit would have refused is refused here too
_ROLLBACK_S = 2.0
_BECOME = """
select set_config('role', $1, true),
    set_config('request.jwt.claims', $2, true),
    set_config('statement_timeout', $3, true)
"""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds a statement may take, by the role it is for. 0: as long as it likes (migrations)."""

    anon: float = 3.0
    authenticated: float = 8.0
    service_role: float = 60.0


class Transaction:
    """Statements that stand or fall together, on one connection, until its block ends."""

    def __init__(self, connection: Any, *, read_only: bool) -> None:
        self._connection = connection
        self._read_only = read_only
        self._over = False
        self._then: list[Callable[[], None]] = []

    def on_commit(self, then: Callable[[], None]) -> None:
        """Have something called once all this is committed: to wake who reads it. Nothing that can fail."""
        self._then.append(then)

    async def fetch_row(self, statement: Statement) -> Row | None:
        """The first row as text, ``None`` when there is none."""
        row = await self._do("fetchrow", statement.text, *encoded(statement.args))
        return None if row is None else tuple(row)

    async def fetch_rows(self, statement: Statement) -> list[Row]:
        return [tuple(row) for row in await self._do("fetch", statement.text, *encoded(statement.args))]

    async def execute(self, script: str) -> None:
        """Code of ours without values, possibly several statements."""
        await self._do("execute", script)

    async def _do(self, method: str, *arguments: Any) -> Any:
        if self._over:
            raise RuntimeError("the transaction is over: its connection is another's by now")
        try:
            return await getattr(self._connection, method)(*arguments)
        except DRIVER_ERRORS as error:
            _raise(error, self._connection, read_only=self._read_only)

    def reading(self) -> Transaction:
        """The same one while it is read-only, so that a refused write is not taken for the server's doing."""
        return Transaction(self._connection, read_only=True)

    def committed(self) -> None:
        for then in self._then:
            then()

    def end(self) -> None:
        """Its connection is given back."""
        self._over = True


class Database:
    """A fixed set of connections to one server.

    lists: how many of the connections patient statements have at most; ``None``: all but one. coalesce: whether
    statements of one text may share a round trip. slow_s: statements that take longer are told to ``observe``.
    unsafe_dev: accept a server that may lose writes.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = 4,
        lists: int | None = None,
        acquire_timeout_s: float = 2.0,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        slow_s: float = 1.0,
        coalesce: bool = True,
        observe: Observe = ignore,
        unsafe_dev: bool = False,
    ) -> None:
        self._url = url
        # None is the driver's word for no limit.
        self._timeout_of: dict[Role, float | None] = {
            "anon": timeouts.anon or None,
            "authenticated": timeouts.authenticated or None,
            "service_role": timeouts.service_role or None,
        }
        self._slow_s = slow_s
        self._observe = observe
        self._unsafe_dev = unsafe_dev
        self._pool = Pool(
            self._connect,
            size=connections,
            patient=max(1, connections - 1 if lists is None else min(lists, connections - 1)),
            acquire_timeout_s=acquire_timeout_s,
            observe=observe,
        )
        self._version = 0  # of the server, the major one
        self._shared: Pool | None = None
        self._coalescer: Coalescer | None = None
        self._lists: Lists | None = None
        if coalesce:
            self._lists = Lists(self._pool, self._patiently, self._take_back)
            self._shared = Pool(
                self._connect_impatient, size=LINKS, acquire_timeout_s=acquire_timeout_s, observe=ignore
            )
            self._coalescer = Coalescer(self._shared, self._alone)

    @classmethod
    def from_settings(
        cls, url: str, settings: DatabaseSettings, *, observe: Observe = ignore, unsafe_dev: bool = False
    ) -> Database:
        """As ``[database]`` says. url: its own, or that of the server we started."""
        timeouts = Timeouts(
            anon=settings.anon_statement_timeout_s,
            authenticated=settings.authenticated_statement_timeout_s,
            service_role=settings.service_statement_timeout_s,
        )
        return cls(
            url,
            connections=settings.connections,
            # Beside a PostgreSQL on the same machine more would only stand in each other's way on its cores.
            lists=None if settings.url else 2 * (os.cpu_count() or 1),
            acquire_timeout_s=settings.acquire_timeout_s,
            timeouts=timeouts,
            coalesce=settings.coalesce,
            observe=observe,
            unsafe_dev=unsafe_dev,
        )

    async def open(self, *, timeout_s: float = 10.0) -> None:
        """Connect and check the server. A server that does not answer yet is waited for.

        Raises ConfigError when it cannot be used, with what to do; Unavailable when it does not answer in time.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                await self._check()
                await self._pool.open()
                if self._shared is not None:
                    await self._shared.open()
                return
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.1)

    @property
    def url(self) -> str:
        """The server and database, for who needs a connection of his own."""
        return self._url

    async def close(self) -> None:
        await self._pool.close()
        if self._shared is not None:
            await self._shared.close()

    @property
    def is_up(self) -> bool:
        """Whether any connection stands, to our knowledge. Costs nothing; ``ping`` asks the server."""
        return self._pool.live > 0

    async def ping(self) -> None:
        """Raises an Unavailable or Timeout unless the server answers a statement now."""
        await self._run("fetchrow", "select 1", [], "anon")

    async def fetch_row(
        self, statement: Statement, *, role: Role = "service_role", patient: bool = False
    ) -> Row | None:
        """The first row of one statement in a transaction of its own, ``None`` when there is none.

        role: for whom, which decides how long it may take. patient: it leaves some connections to others.
        """
        row = await self._run("fetchrow", statement.text, encoded(statement.args), role, patient=patient)
        return None if row is None else tuple(row)

    async def fetch_rows(self, statement: Statement, *, role: Role = "service_role") -> list[Row]:
        return [tuple(row) for row in await self._run("fetch", statement.text, encoded(statement.args), role)]

    def fetch_shared(
        self, text: str, args: tuple[Bindable, ...], *, role: Role, together: Together | None = None
    ) -> Awaitable[Row]:
        """The one row of a short statement that always gives one. It may share its round trip and its commit with
        others of the same text.

        together: does the same for many at once (``mbaas.core.sql.template``).
        """
        ask = self.asking(text, role=role, short=True, together=together)
        row = None if ask is None else answered(ask, encoded(args))
        return self._alone(text, encoded(args), role) if row is None else row

    def fetch_list(self, text: str, args: tuple[Bindable, ...], *, role: Role) -> Awaitable[Row]:
        """The one row of a read that always gives one and may take long. It leaves some connections to others.

        Where it has to wait for one, it may share its round trip with others of the same text.
        """
        ask = self._patiently if self._lists is None else self._lists.fetch_row
        return ask(text, encoded(args), role)

    async def execute(self, script: str) -> None:
        """Code of ours without values, possibly several statements. What it sets ends with it."""
        async with self._held() as session:
            await session.execute(script)
            await session.execute(CLEAN)

    @contextlib.asynccontextmanager
    async def transaction(
        self, *, caller: Identity | None = None, read_only: bool = False, commit: bool = True
    ) -> AsyncIterator[Transaction]:
        """Statements in one transaction, rolled back when the block raises, and in any case without ``commit``.

        caller: run as that role with its claims and its time limit, all local to the transaction, so that policies
        apply. ``None``: as the owner, whom no policy holds. Do not use the database itself inside the block: that
        waits for a second connection while one is held. A block that goes on after a statement of it has failed does
        not commit; it raises in the end.
        """
        async with self._held(read_only=read_only) as transaction:
            await transaction.execute("begin read only" if read_only else "begin")
            if caller is not None:
                await transaction.fetch_row(self.become(caller))
            yield transaction
            await transaction.execute(_COMMIT if commit else _UNDO)
        if commit:
            transaction.committed()

    def asking(self, text: str, *, role: Role, short: bool, together: Together | None = None) -> Ask | None:
        """What ``fetch_shared`` does of a text that is short, else ``fetch_list``, for one who does not wait.

        ``None``: statements do not share round trips here.
        """
        if self._coalescer is None or self._lists is None:
            return None
        if short:
            return self._coalescer.asking(text, role, self._known(together))
        return self._lists.asking(text, role)

    def _known(self, together: Together | None) -> Together | None:
        """``None`` for one that this server does not know."""
        return None if together is None or together.since > self._version else together

    async def _alone(self, text: str, args: list[Any], role: Role) -> Row:
        return tuple(await self._run("fetchrow", text, args, role))

    async def _patiently(self, text: str, args: list[Any], role: Role) -> Row:
        return tuple(await self._run("fetchrow", text, args, role, patient=True))

    async def _run(self, method: str, text: str, args: list[Any], role: Role, *, patient: bool = False) -> Any:
        """One statement in a transaction of its own, tried again when another transaction stood in the way.

        By asyncpg's cached ``fetchrow`` rather than statements held prepared by us: measured, those save 0.4 of 8.3 µs
        of CPU a get, less than keeping them costs, and asyncpg's renew themselves when the schema has changed.
        """
        began = time.monotonic()
        timeout_s = self._timeout_of[role]
        for attempt in range(1, _TRIES + 1):
            link = self._pool.take(patient=patient) or await self._pool.wait(patient=patient)
            try:
                answer = await getattr(link.connection, method)(text, *args, timeout=timeout_s)
            except _RETRIED as error:
                self._pool.release(link)
                if attempt == _TRIES:
                    raise translate(error) from error
                await asyncio.sleep(random.uniform(0.0, 0.02 * 2**attempt))  # noqa: S311 - no secret
            except BaseException as error:
                self._take_back(link, error)
                _raise(error, link.connection)
            else:
                self._pool.release(link)
                break
        elapsed = time.monotonic() - began
        if elapsed > self._slow_s:
            self._observe(QueryRan(sql=text, duration_ms=elapsed * 1000))
        return answer

    def _take_back(self, link: Link, error: BaseException) -> None:
        """After a statement failed outside of a transaction."""
        if is_failover(error):
            self._pool.expire()
        if isinstance(error, DRIVER_ERRORS) and not isinstance(error, TimeoutError):
            self._pool.release(link)
        else:  # cancelled, by the caller or by the clock: the statement may still run
            self._pool.settle(link, CLEAN)

    @contextlib.asynccontextmanager
    async def _held(self, *, read_only: bool = False) -> AsyncIterator[Transaction]:
        """A connection for the block. When the block raises, whatever it was in the middle of is rolled back."""
        link = self._pool.take() or await self._pool.wait()
        session = Transaction(link.connection, read_only=read_only)
        try:
            yield session
        except Exception as error:
            cause = error.__cause__
            if is_failover(cause) and not (read_only and isinstance(cause, asyncpg.ReadOnlySQLTransactionError)):
                self._pool.expire()
            # Here rather than in the background: once the caller knows, its locks are gone.
            await self._roll_back(link)
            raise
        except BaseException:
            self._pool.settle(link, ROLLBACK)
            raise
        else:
            self._pool.release(link)
        finally:
            session.end()

    async def _roll_back(self, link: Link) -> None:
        try:
            if not link.connection.is_closed():
                await link.connection.execute(ROLLBACK, timeout=_ROLLBACK_S)
        except BaseException as error:
            self._pool.settle(link, ROLLBACK)  # which gives it up when it can do no better
            if not isinstance(error, DRIVER_ERRORS):
                raise
        else:
            self._pool.release(link)

    def timeout_s(self, role: Role) -> float | None:
        """How long a statement for that role may take, ``None``: as long as it likes."""
        return self._timeout_of[role]

    def become(self, caller: Identity) -> Statement:
        """Makes the rest of a transaction run as the caller."""
        claims = msgspec.json.encode(caller.claims).decode()
        limit_ms = str(round((self._timeout_of[caller.role] or 0.0) * 1000))
        return Statement(_BECOME, (caller.role, claims, limit_ms))

    async def _connect(self) -> Any:
        return await connect(self._url, statement_timeout_s=self._timeout_of["service_role"] or 0.0)

    async def _connect_impatient(self) -> Any:
        # Keyed work has one good plan; to plan it for each number of arguments costs as much as to do it.
        return await connect(
            self._url,
            statement_timeout_s=STATEMENT_TIMEOUT_S,
            lock_timeout_s=LOCK_TIMEOUT_S,
            plan_cache_mode="force_generic_plan",
        )

    async def _check(self) -> None:
        connection = await self._connect()
        try:
            await check_server(connection, unsafe_dev=self._unsafe_dev)
            self._version = connection.get_server_version().major
        except DRIVER_ERRORS as error:
            raise translate(error) from error
        finally:
            connection.terminate()


def _raise(error: BaseException, connection: Any, *, read_only: bool = False) -> NoReturn:
    """What the driver raised as one of our errors; anything else, a wrong use of the driver too, as it is.

    read_only: a transaction that writes nothing was asked for, so a refused write is not the server's doing.
    """
    if isinstance(error, asyncpg.ReadOnlySQLTransactionError) and not read_only:
        raise Unavailable("the database takes no writes now", hint="try again in a moment") from error
    if isinstance(error, asyncpg.PostgresError):
        raise translate(error) from error
    if isinstance(error, DRIVER_ERRORS):
        if connection.is_closed():
            raise Unavailable("the database does not answer", hint="try again in a moment") from error
        if not isinstance(error, asyncpg.InterfaceError):
            raise translate(error) from error
    raise error
