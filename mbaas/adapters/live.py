"""The rules in force: one immutable snapshot, replaced whole when a migration was applied anywhere.

The nodes ask the database once a second which catalog is in force, and take it from there: what was applied holds on
every node, whatever file lies beside it (ADR 55).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn, TypeAlias

import msgspec

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.published import Moment, Published, read_moment, read_published
from mbaas.core.errors import ConfigError, MbaasError, SchemaChanged
from mbaas.core.observe import CatalogInForce, CatalogNotTaken, Observe, ignore
from mbaas.core.rules.ruleset import RuleSet
from mbaas.core.schema.catalog import Catalog
from mbaas.core.schema.views import with_views

POLL_S = 1.0
PATIENCE_S = 3.0  # how long a request waits for a migration that is in its way
_AGAIN_S = 0.05

Compiled: TypeAlias = Callable[[Catalog], RuleSet]
"""The rules of a catalog. Raises RuleError when they cannot be understood."""


class Live:
    """What everything reads once a request: ``live()`` gives the snapshot that holds now."""

    def __init__(
        self, database: Database, found: Published, rules: RuleSet, compiled: Compiled, *, observe: Observe = ignore
    ) -> None:
        """rules: those of ``found``."""
        self._database = database
        self._compiled = compiled
        self._found = found
        self._rules = rules
        self._observe = observe
        self._refused = -1
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    async def start(cls, database: Database, compiled: Compiled, *, observe: Observe = ignore) -> Live:
        """With the catalog in force. Raises MbaasError when it cannot be had."""
        found = await read_published(database)
        return cls(database, found, await _rules_of(found, compiled), compiled, observe=observe)

    def __call__(self) -> RuleSet:
        return self._rules

    @property
    def revision(self) -> int:
        """The number of the catalog that is served; it grows with every change."""
        return self._found.revision

    def serves(self, catalog: Catalog) -> bool:
        """Whether that is what is in force."""
        return catalog == self._found.catalog

    async def follow(self) -> NoReturn:
        """Takes up every change, until cancelled. What cannot be taken up is told, and what is served stays."""
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self.look()
            except MbaasError:
                continue  # the database is away, which its own connections tell; asked again in a moment

    async def look(self) -> Moment:
        """Ask once, and take up what has changed. Raises MbaasError when the database does not answer."""
        moment = await read_moment(self._database)
        if moment.revision != self.revision:
            async with self._one_at_a_time:
                if moment.revision != self.revision:
                    await self._take(moment.revision)
        return moment

    async def newer_than(self, rules: RuleSet) -> bool:
        """Whether another snapshot than that holds by now: for a request whose statement met another schema.

        A migration that is under way is waited for. Raises SchemaChanged when it takes too long.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            moment = await self.look()
            if self._rules is not rules:
                return True
            if not moment.migrating:
                return False
            if time.monotonic() > deadline:
                raise SchemaChanged
            await asyncio.sleep(_AGAIN_S)

    async def _take(self, revision: int) -> None:
        try:
            found = await read_published(self._database)
            rules = await _rules_of(found, self._compiled)
        except (ConfigError, msgspec.MsgspecError) as error:  # published by another version of this program
            if self._refused != revision:
                self._refused = revision
                self._observe(CatalogNotTaken(revision, str(error)))
            return
        self._rules, self._found = rules, found
        self._observe(CatalogInForce(found.revision))


async def _rules_of(found: Published, compiled: Compiled) -> RuleSet:
    """In a thread: the rules of a large catalog take longer to read than a request may wait."""
    rules = await asyncio.to_thread(compiled, found.catalog)
    adopted = {function.name for function in rules.catalog.functions if function.adopted}
    functions = tuple(
        msgspec.structs.replace(function, adopted=function.name in adopted) for function in found.functions
    )
    catalog = with_views(
        msgspec.structs.replace(rules.catalog, functions=functions),
        {name: (view.columns, view.origins) for name, view in found.views.items()},
    )
    return msgspec.structs.replace(rules, catalog=catalog)
