"""Statements by the shape of a request: what was asked before costs a look-up and its literals.

A request that has no shape, or whose statement cannot be made for all of its shape, takes the long way each time; the
two ways give the same statement (``tests/property/test_shapes.py``). Everything here belongs to one snapshot of the
rules and goes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeAlias

import msgspec

from mbaas.core.errors import MbaasError
from mbaas.core.identity import Identity
from mbaas.core.plan.authorize import Grants, authorize
from mbaas.core.plan.points import is_plain, is_point
from mbaas.core.plan.resolve import Resolver, resolve_list
from mbaas.core.plan.types import Answer, ReadPlan, WritePlan
from mbaas.core.plan.writes import resolve_insert, resolve_update
from mbaas.core.query.limits import Limits
from mbaas.core.query.parse import read_pairs, split_query
from mbaas.core.query.shape import mark, marked, shape_of
from mbaas.core.query.types import InsertQuery, Media, Payload, Preferences, ReadQuery, UpdateQuery, Window
from mbaas.core.rules.ruleset import RuleSet
from mbaas.core.sql.fragment import Bindable
from mbaas.core.sql.read import compose_list
from mbaas.core.sql.rows import keys
from mbaas.core.sql.template import Template, for_each, template
from mbaas.core.sql.write import compose_write, write_many
from mbaas.modules.records.results import Cut, cut_of

MAX_SHAPES = 2000
MAX_SHAPE_CHARS = 2000
_WHOLE = Window()


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """One shape. answer: what goes out. keys: of one row of it, ``None``: nothing goes out. offset: of the window.

    short: it takes little time, always. cut: of a page that is cut by place.
    """

    template: Template
    answer: Answer
    keys: tuple[str, ...] | None
    offset: int = 0
    short: bool = False
    cut: Cut | None = None


Found: TypeAlias = tuple[Prepared, tuple[Bindable, ...]]
"""A shape and the arguments of one request of it."""


class Shapes:
    """All shapes of one snapshot."""

    def __init__(
        self,
        rules: RuleSet,
        resolver: Callable[[Identity], Resolver],
        *,
        grants: Grants,
        hooked: Callable[[WritePlan], bool],
    ) -> None:
        """hooked: whether hooks watch a write; those are never prepared."""
        self.rules = rules
        self._resolver = resolver
        self._grants = grants
        self._hooked = hooked
        self._known: dict[Hashable, Prepared | None] = {}

    def read(
        self,
        name: str,
        query_string: bytes,
        identity: Identity,
        *,
        preferences: Preferences,
        media: Media,
        limits: Limits,
    ) -> Found | None:
        """For GET of a collection. Raises QueryError for what is no query string."""
        pairs = split_query(query_string, limits)
        shaped = shape_of(pairs, limits)
        if shaped is None:
            return None
        shape, literals = shaped
        key = ("read", name, shape, identity.role, preferences, media)

        def make() -> Prepared | None:
            parts = read_pairs(marked(pairs), limits).parts
            query = ReadQuery(collection=name, parts=parts, preferences=preferences, media=media)
            plan = resolve_list(query, self._resolver(identity))
            authorized = authorize(plan, identity, self.rules, self._grants)
            if authorized.as_caller or authorized.answer.total in ("planned", "estimated"):
                return None  # not one statement
            short = is_point(plan.rows)
            composed = compose_list(authorized)
            return Prepared(
                template=template(composed, for_each(composed) if short else None),
                answer=authorized.answer,
                keys=keys(plan.rows),
                offset=parts.windows.get((), _WHOLE).offset,
                short=short,
                cut=cut_of(plan.rows),
            )

        prepared = self._find(key, len(query_string), make)
        return None if prepared is None else (prepared, prepared.template.bind(literals, identity))

    def insert(self, query: InsertQuery, payload: Payload, query_string: bytes, identity: Identity) -> Found | None:
        """For POST to a collection. query_string: what ``query`` was read from; inserts have no literals in it."""
        single = payload.rows == 1
        key = (single, query.collection, query_string, query.columns, identity.role, query.preferences, query.media)

        def make() -> Prepared | None:
            plan = resolve_insert(msgspec.structs.replace(query, payload=mark(0)), self._resolver(identity))
            if self._hooked(plan) or plan.answer.rollback:
                return None
            authorized = authorize(plan, identity, self.rules, self._grants)
            if authorized.as_caller:
                return None
            short = single and is_plain(plan.answer.rows)
            return Prepared(
                template=template(compose_write(authorized), write_many(authorized) if short else None),
                answer=plan.answer,
                keys=None if plan.answer.rows is None else keys(plan.answer.rows),
                short=short,
            )

        prepared = self._find(key, len(query_string) + sum(map(len, query.columns)), make)
        return None if prepared is None else (prepared, prepared.template.bind((payload.text,), identity))

    def update(
        self, name: str, query_string: bytes, payload: Payload, identity: Identity, *, preferences: Preferences,
        media: Media, limits: Limits,
    ) -> Found | None:  # fmt: skip
        """For PATCH of a collection with fields to set. Raises QueryError for what is no query string."""
        pairs = split_query(query_string, limits)
        shaped = shape_of(pairs, limits)
        if shaped is None or not payload.columns:
            return None
        shape, literals = shaped
        key = ("update", name, shape, payload.columns, identity.role, preferences, media)

        def make() -> Prepared | None:
            parts = read_pairs(marked(pairs), limits).parts
            query = UpdateQuery(
                collection=name, payload=mark(len(literals)), columns=payload.columns, parts=parts,
                preferences=preferences, media=media,
            )  # fmt: skip
            plan = resolve_update(query, self._resolver(identity))
            if self._hooked(plan) or plan.answer.rollback:
                return None
            authorized = authorize(plan, identity, self.rules, self._grants)
            if authorized.as_caller:
                return None
            target = ReadPlan(collection=plan.collection, outputs=(), where=plan.where, computed=plan.computed)
            short = is_point(target) and is_plain(plan.answer.rows)
            return Prepared(
                template=template(compose_write(authorized), write_many(authorized) if short else None),
                answer=plan.answer,
                keys=None if plan.answer.rows is None else keys(plan.answer.rows),
                short=short,
            )

        prepared = self._find(key, len(query_string) + sum(map(len, payload.columns)), make)
        return None if prepared is None else (prepared, prepared.template.bind((*literals, payload.text), identity))

    def _find(self, key: Hashable, chars: int, make: Callable[[], Prepared | None]) -> Prepared | None:
        """What is kept under the key, made when asked for the first time. chars: of the key, as callers chose it."""
        try:
            return self._known[key]
        except KeyError:
            pass
        if chars > MAX_SHAPE_CHARS:
            return None
        try:
            found = make()
        except (MbaasError, ValueError):
            found = None  # the long way says what is wrong, in terms of what was really sent
        if len(self._known) >= MAX_SHAPES:  # the older half goes: cheaper for each request than an order of use
            self._known = dict(list(self._known.items())[MAX_SHAPES // 2 :])
        self._known[key] = found
        return found
