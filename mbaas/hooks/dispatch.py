"""Runs hooks: ``around`` in a chain inside the transaction, ``after`` beside the answer once it is committed.

An ``around`` hook that fails, hangs or rests stops what it wraps: it may be the one that says no, so it is never left
out. An ``after`` hook that fails is observed and changes nothing.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import traceback
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from mbaas.core.errors import HookBroken, MbaasError
from mbaas.core.observe import HookFailed, HookRested, Observe, ignore
from mbaas.hooks.breaker import Breaker
from mbaas.hooks.capabilities import Capability, Provided
from mbaas.hooks.events import Doing, Done

D = TypeVar("D", bound=Doing[Any])
E = TypeVar("E", bound=Done)
R = TypeVar("R")
P1 = TypeVar("P1", contravariant=True)
P2 = TypeVar("P2")

Proceed: TypeAlias = Callable[[P1], Awaitable[P2]]
"""Carries an event on to the next hook, in the end to the work itself: ``Proceed[RecordCreate, Record]``."""

Around: TypeAlias = Callable[[D, Proceed[D, R]], Awaitable[R]]
After: TypeAlias = Callable[[E], Awaitable[None]]

MAX_WAITING = 100  # after hooks at work; one more and emit() waits, so that a slow hook cannot fill the memory


class _Hook(msgspec.Struct, Generic[R], frozen=True):
    """One registered function. only: collections, empty for all."""

    name: str
    run: Callable[..., Awaitable[R]]
    only: frozenset[str]
    order: int
    breaker: Breaker

    def concerns(self, event: Any) -> bool:
        return not self.only or event.collection in self.only


class Hooks:
    """What plugins and modules register with, and what services run. Registration ends when the server starts."""

    def __init__(self, *, observe: Observe = ignore, timeout_s: float = 5.0) -> None:
        """timeout_s: what one hook may take by itself; the time of ``proceed`` is not counted."""
        self._observe = observe
        self._timeout_s = timeout_s
        self._owner = "mbaas"
        self._hooks: dict[type[Any], list[_Hook[Any]]] = {}
        self._everywhere: set[type[Any]] = set()
        self._only: set[tuple[type[Any], str]] = set()
        self._provided: list[Provided] = []
        self._at_work: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(MAX_WAITING)

    def owned_by(self, plugin: str) -> Hooks:
        """The same hooks, registering in a plugin's name."""
        view = copy.copy(self)
        view._owner = plugin
        return view

    def around(
        self, event_type: type[D], *, only: str | Iterable[str] | None = None, order: int = 0
    ) -> Callable[[Around[D, R]], Around[D, R]]:
        """Registers a function that wraps an event. The lowest ``order`` is outermost, then who came first.

        only: the collections it is about. The function may call ``proceed`` with a changed event, look at what it
        gives, raise Refused, or answer by itself.
        """

        def register(hook: Around[D, R]) -> Around[D, R]:
            self._add(event_type, Doing, hook, only, order)
            return hook

        return register

    def after(self, event_type: type[E], *, only: str | Iterable[str] | None = None) -> Callable[[After[E]], After[E]]:
        """Registers a function that is told what was committed. It runs beside the answer, in this process only."""

        def register(hook: After[E]) -> After[E]:
            self._add(event_type, Done, hook, only, 0)
            return hook

        return register

    def provide(self, capability: Capability) -> None:
        """Adds a route to the server."""
        if not isinstance(capability, Capability):
            raise TypeError(f"provide() takes a Route, not {type(capability).__name__}")
        self._provided.append(Provided(self._owner, capability))

    @property
    def provided(self) -> tuple[Provided, ...]:
        return tuple(self._provided)

    @property
    def collections(self) -> frozenset[str]:
        """Every collection named by ``only``, so that a start can refuse one that does not exist."""
        return frozenset(name for _, name in self._only)

    def wants(self, event_type: type[Any], collection: str | None = None) -> bool:
        """Whether any hook is about this event on this collection. Two look-ups in sets."""
        return event_type in self._everywhere or (event_type, collection) in self._only

    async def run(self, event: Doing[R], final: Callable[[Any], Awaitable[R]]) -> R:
        """What ``final(event)`` gives, through every ``around`` hook of the event.

        Raises what ``final`` and refusing hooks raise; HookBroken for a hook that failed, hung or rests.
        """
        proceed: Callable[[Any], Awaitable[R]] = final
        for hook in reversed(self._hooks.get(type(event), ())):
            if hook.concerns(event):
                proceed = self._wrapped(hook, proceed)
        return await proceed(event)

    async def emit(self, event: Done) -> None:
        """Tells the ``after`` hooks and returns without waiting for them, unless very many are at work."""
        for hook in self._hooks.get(type(event), ()):
            if hook.concerns(event) and not hook.breaker.rests(_now()):
                await self._slots.acquire()
                task = asyncio.create_task(self._tell(hook, event), name=hook.name)
                self._at_work.add(task)
                task.add_done_callback(self._told)

    async def settle(self) -> None:
        """Waits until no ``after`` hook is at work. Each ends within its timeout."""
        while self._at_work:
            await asyncio.wait(self._at_work)

    def _add(
        self, event_type: type[Any], base: type[Any], run: Any, only: str | Iterable[str] | None, order: int
    ) -> None:
        name = f"{self._owner}.{getattr(run, '__qualname__', repr(run))}"
        if not (isinstance(event_type, type) and issubclass(event_type, base)):
            kind = "around()" if base is Doing else "after()"
            raise TypeError(f"{name}: {kind} does not take {event_type!r}")
        if not inspect.iscoroutinefunction(run):
            raise TypeError(f"{name}: a hook is an `async def` function")
        collections = frozenset((only,) if isinstance(only, str) else only or ())
        if collections and "collection" not in event_type.__struct_fields__:
            raise TypeError(f"{name}: {event_type.__name__} is not about a collection, so `only` means nothing")
        chain = self._hooks.setdefault(event_type, [])
        chain.append(_Hook(name, run, collections, order, Breaker()))
        chain.sort(key=lambda hook: hook.order)
        if collections:
            self._only.update((event_type, collection) for collection in collections)
        else:
            self._everywhere.add(event_type)

    def _wrapped(self, hook: _Hook[R], inner: Callable[[Any], Awaitable[R]]) -> Callable[[Any], Awaitable[R]]:
        async def call(event: Any) -> R:
            if hook.breaker.rests(_now()):
                raise HookBroken("a plugin failed", hint="it is left alone for a while after repeated failures")
            from_inside: BaseException | None = None
            try:
                async with asyncio.timeout(self._timeout_s) as clock:

                    async def proceed(changed: Any) -> R:
                        nonlocal from_inside
                        left = (clock.when() or _now()) - _now()
                        clock.reschedule(None)
                        try:
                            return await inner(changed)
                        except BaseException as error:
                            from_inside = error
                            raise
                        finally:
                            clock.reschedule(_now() + left)

                    answer = await hook.run(event, proceed)
            except MbaasError:  # a refusal, or the database's word on what the hook asked of it
                hook.breaker.succeeded()
                raise
            except (Exception, SystemExit) as error:
                if error is from_inside:
                    raise
                self._failed(hook, event, error)
                raise HookBroken("a plugin failed", hint="the server's log says which and why") from error
            hook.breaker.succeeded()
            return answer

        return call

    async def _tell(self, hook: _Hook[None], event: Any) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await hook.run(event)
        except (Exception, SystemExit) as error:
            self._failed(hook, event, error, "".join(traceback.format_exception(error)))
        else:
            hook.breaker.succeeded()

    def _told(self, task: asyncio.Task[None]) -> None:
        self._at_work.discard(task)
        self._slots.release()

    def _failed(self, hook: _Hook[Any], event: Any, error: BaseException, trace: str = "") -> None:
        kind = type(event).__name__
        reason = f"took longer than {self._timeout_s:g} s" if isinstance(error, TimeoutError) else repr(error)
        self._observe(HookFailed(hook.name, kind, reason, trace))
        if rest_s := hook.breaker.failed(_now()):
            self._observe(HookRested(hook.name, kind, rest_s))


def _now() -> float:
    return asyncio.get_running_loop().time()
