"""A query meets the catalog: every name exists afterwards, every literal has a type.

Hidden fields do not exist for a caller without the service key.
Raises UnknownField and the errors of ``core.query.errors`` and ``core.plan.errors``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import msgspec

from mbaas.core.errors import UnknownCollection
from mbaas.core.expr.types import Cast, Column, Expr, Is, Not, all_of
from mbaas.core.plan.conditions import Owner, condition_expr, is_expr, logic_expr, path_expr
from mbaas.core.plan.errors import UnknownType
from mbaas.core.plan.having import with_having
from mbaas.core.plan.keyset import with_keyset
from mbaas.core.plan.names import ColumnType, Names, known_type, perhaps
from mbaas.core.plan.sought import sought
from mbaas.core.plan.types import (
    AggregateOutput,
    Answer,
    Embed,
    EmbedOutput,
    FieldOutput,
    ListPlan,
    Order,
    Output,
    ReadPlan,
    SpreadOutput,
    embed_test,
)
from mbaas.core.plan.words import divided, refuse_words
from mbaas.core.query.errors import EmbedFilterInvalid, Misplaced, NotEmbedded, OrderNotToOne, Unsupported
from mbaas.core.query.filters import parse_condition
from mbaas.core.query.limits import DEFAULT_LIMITS
from mbaas.core.query.types import (
    ColumnItem,
    CountItem,
    EmbedItem,
    EmbedPath,
    Filter,
    Logic,
    OrderTerm,
    Path,
    ReadParts,
    ReadQuery,
    SelectItem,
    Star,
    Window,
)
from mbaas.core.schema.catalog import Collection, Field, Function


def resolve_list(query: ReadQuery, resolver: Resolver) -> ListPlan:
    """GET and HEAD of a collection."""
    return ListPlan(
        rows=resolver.read(resolver.collection(query.collection), query.parts),
        answer=Answer(
            singular=query.media.kind == "object",
            stripped=query.media.stripped,
            total=query.preferences.count,
        ),
    )


class Resolver:
    """The catalog as one caller sees it, for the length of one request. max_rows: the longest list at any level."""

    def __init__(self, names: Names, *, privileged: bool, max_rows: int | None) -> None:
        self.names = names
        self.privileged = privileged
        self.max_rows = max_rows
        self._numbers: Iterator[int] = itertools.count(1)

    def collection(self, name: str) -> Collection:
        found = self.names.collection(name)
        if found is None:
            raise UnknownCollection.of(name, perhaps(name, self.names.catalog.collections))
        return found

    def columns(self, collection: str) -> dict[str, ColumnType]:
        return self.names.columns(collection, privileged=self.privileged)

    def owner(self, collection: Collection) -> Owner:
        return Owner(collection.name, self.columns(collection.name), self.names.computed(collection.name))

    def writes(self, collection: Collection, field: Field) -> bool:
        """Whether a caller's value is taken at all. Without the service key what the server fills is dropped."""
        return self.privileged or collection.adopted or not (field.managed or field.generated is not None)

    def fixes(self, collection: Collection, field: Field) -> bool:
        """Whether it stays as it was made: a key that the server hands out."""
        handed_out = field.default is not None or field.identity
        return not (self.privileged or collection.adopted) and field.name in collection.key and handed_out

    def where(self, collection: Collection, parts: ReadParts) -> tuple[Expr, tuple[Function, ...]]:
        """The filters of the collection itself, for a write, and the functions whose fields they read.

        No embed can be tested in them.
        """
        owner = self.owner(collection)
        parts = refuse_words(parts, owner, "a write")
        where = all_of(*(_filter(one, owner, {}) for path, one in parts.filters if not path))
        return where, tuple(owner.used.values())

    def read(self, collection: Collection, parts: ReadParts) -> ReadPlan:
        owner = self.owner(collection)
        parts, words = divided(parts, owner)
        found = sought(words, collection, owner)
        owner.given = found.given
        for text in words.get("distance", ()):
            if "distance" not in owner.given:
                raise Misplaced("distance is of nothing", "it goes with near=... or a circle in within=...")
            condition = parse_condition(Path("distance"), text, DEFAULT_LIMITS)
            parts = msgspec.structs.replace(parts, filters=(*parts.filters, ((), condition)))
        said = _Said(parts.filters, parts.order, parts.windows)
        plan = self._level(collection, owner, parts.select, said)
        if plan.grouped and found.given:
            found.order = ()  # of single rows
        plan = msgspec.structs.replace(
            plan, where=all_of(plan.where, *found.where), order=plan.order or found.order, uses=found.uses
        )
        if "having" in words:
            plan = with_having(plan, words["having"])
        if "cursor" in words:
            plan = with_keyset(plan, collection, owner, *words["cursor"])
        return plan

    def given(self, collection: Collection, parts: ReadParts) -> ReadPlan:
        """As ``read``, of rows that are at hand, as a function gives them."""
        return self.read(collection, refuse_words(parts, self.owner(collection), "a function's rows"))

    def returned(self, collection: Collection, parts: ReadParts) -> ReadPlan:
        """The rows a write gives back: all of them, whatever the filters that picked them."""
        parts = refuse_words(parts, self.owner(collection), "a write")
        said = _Said(tuple(pair for pair in parts.filters if pair[0]), parts.order, parts.windows)
        plan = self._level(collection, self.owner(collection), parts.select, said)
        return msgspec.structs.replace(plan, limit=parts.windows.get((), _WINDOW).limit)

    def read_result(self, name: str, columns: Mapping[str, ColumnType], parts: ReadParts) -> ReadPlan:
        """Rows of a function's result that are no collection's."""
        owner = Owner(name, columns)
        parts = refuse_words(parts, owner, "a function's rows")
        return self._level(None, owner, parts.select, _Said(parts.filters, parts.order, parts.windows))

    def _level(
        self, collection: Collection | None, owner: Owner, items: tuple[SelectItem, ...], said: _Said
    ) -> ReadPlan:
        outputs: list[Output] = []
        embeds: list[Embed] = []
        grouped = False
        tests: dict[str, Embed] = {}
        below = said.below(items) if said.deeper else {}
        for index, item in enumerate(items):
            if isinstance(item, Star):
                outputs.extend(FieldOutput(name, Column(name)) for name in owner.columns)
            elif isinstance(item, ColumnItem):
                output = _column_output(item, owner, alone=len(items) == 1)
                grouped = grouped or isinstance(output, AggregateOutput)
                outputs.append(output)
            elif isinstance(item, CountItem):
                grouped = True
                outputs.append(AggregateOutput(item.alias or "count", "count", cast=_checked(item.cast)))
            else:
                if collection is None:
                    raise Unsupported(f"'{item.target}' cannot be embedded in the result of {owner.name}")
                embed = self._embed(collection, item, below.get(index, _NOTHING))
                embeds.append(embed)
                tests.setdefault(item.target, embed)
                if item.alias:
                    tests[item.alias] = embed
                if item.spread:
                    grouped = grouped or embed.plan.aggregates
                    outputs.append(SpreadOutput(embed.alias))
                elif item.items:
                    outputs.append(EmbedOutput(item.alias or item.target, embed.alias))
        window = said.windows.get((), _WINDOW)
        where = all_of(*(_filter(one, owner, tests) for path, one in said.filters if not path))
        order = tuple(self._order(term, owner, tests) for term in said.order.get((), ()))
        return ReadPlan(
            collection=collection,
            outputs=tuple(outputs),
            where=where,
            order=order,
            limit=least(window.limit, self.max_rows),
            offset=window.offset,
            embeds=tuple(embeds),
            grouped=grouped,
            computed=tuple(owner.used.values()),
        )

    def _embed(self, parent: Collection, item: EmbedItem, said: _Said) -> Embed:
        relation = self.names.relation(parent.name, item.target, item.hint, privileged=self.privileged)
        alias = f"e{next(self._numbers)}"
        child = self.collection(relation.target)
        plan = self._level(child, self.owner(child), item.items, said)
        if relation.to_one:
            plan = msgspec.structs.replace(plan, order=(), limit=1, offset=0)
        if item.spread and plan.grouped:
            if not relation.to_one:
                raise Unsupported("Aggregates are not implemented for one-to-many or many-to-many spreads.")
            plan = msgspec.structs.replace(plan, grouped=False)
        return Embed(alias=alias, relation=relation, plan=plan, inner=item.inner)

    def _order(self, term: OrderTerm, owner: Owner, embeds: Mapping[str, Embed]) -> Order:
        if term.relation is None:
            expr, kind = path_expr(term.path, owner)
            if kind.is_measured:
                raise Misplaced(
                    f"rows have no order by type {kind.name}", "order=distance, with near=... or within=..."
                )
            return Order(expr, term.descending, term.nulls, type=_bound_by(kind))
        embed = embeds.get(term.relation)
        if embed is None:
            raise NotEmbedded(term.relation)
        if not embed.relation.to_one:
            raise OrderNotToOne(owner.name, term.relation)
        target = Owner(embed.relation.target, self.columns(embed.relation.target))
        expr, kind = path_expr(term.path, target)
        return Order(expr, term.descending, term.nulls, embed.alias, _bound_by(kind))


class _Said(msgspec.Struct, frozen=True):
    """What a query says about one level and those below, paths counted from there."""

    filters: tuple[tuple[EmbedPath, Filter], ...] = ()
    order: dict[EmbedPath, tuple[OrderTerm, ...]] = {}
    windows: dict[EmbedPath, Window] = {}

    @property
    def deeper(self) -> bool:
        return any(path for path, _ in self.filters) or any(self.order) or any(self.windows)

    def below(self, items: tuple[SelectItem, ...]) -> dict[int, _Said]:
        """By the position of the embed. An embed goes by its alias, else by its target. Raises NotEmbedded."""
        heads = {path[0] for path, _ in self.filters if path}
        heads.update(path[0] for path in (*self.order, *self.windows) if path)
        found: dict[int, _Said] = {}
        for head in sorted(heads):
            embeds = [(index, item) for index, item in enumerate(items) if isinstance(item, EmbedItem)]
            named = [index for index, item in embeds if item.alias == head]
            named = named or [index for index, item in embeds if item.target == head]
            if not named:
                raise NotEmbedded(head)
            for index in named:
                found[index] = self._under(head, found.get(index, _NOTHING))
        return found

    def _under(self, head: str, more: _Said) -> _Said:
        return _Said(
            more.filters + tuple((path[1:], one) for path, one in self.filters if path and path[0] == head),
            more.order | {path[1:]: terms for path, terms in self.order.items() if path and path[0] == head},
            more.windows | {path[1:]: window for path, window in self.windows.items() if path and path[0] == head},
        )


_NOTHING = _Said()
_WINDOW = Window()


def _filter(filter: Filter, owner: Owner, embeds: Mapping[str, Embed]) -> Expr:
    """As ``filter_expr``, but a name may also be an embed's, tested for existence."""
    if isinstance(filter, Logic):
        return logic_expr(filter, tuple(_filter(item, owner, embeds) for item in filter.items))
    embed = None if filter.path.steps else embeds.get(filter.path.name)
    if embed is None:
        return condition_expr(filter, owner)
    if filter.operator == "is" and isinstance(filter.value, str):
        test = is_expr(Column(""), filter.value)
        if isinstance(test, Is) and test.what == "null":
            exists = embed_test(embed.alias)
            return exists if test.negated != filter.negated else Not(exists)
    if filter.path.name in owner.columns:
        return condition_expr(filter, owner)
    raise EmbedFilterInvalid(filter.path.name)


def _column_output(item: ColumnItem, owner: Owner, *, alone: bool) -> Output:
    if item.path.name == "count" and alone and not item.path.steps and "count" not in owner.columns:
        return AggregateOutput(item.alias or "count", "count", cast=_checked(item.cast))
    expr, kind = path_expr(item.path, owner)
    if item.cast is not None:
        expr = Cast(expr, _known(item.cast))
    if item.aggregate is not None:
        cast, of = _checked(item.aggregate_cast), item.cast or kind.name
        return AggregateOutput(item.alias or item.aggregate, item.aggregate, expr, cast, of)
    return FieldOutput(item.alias or key_of(item.path), expr)


def _bound_by(kind: ColumnType) -> str:
    """The type by which a value in PostgreSQL's text form is bound."""
    return kind.bind if kind.element is None else f"text::{kind.name}"


def key_of(path: Path) -> str:
    """The name of a value without an alias: its last key, else the column.

    >>> key_of(Path("data", ((0, False), ("a", False), (2, True)))), key_of(Path("data", ((0, True),)))
    ('a', 'data')
    """
    return next((step for step, _ in reversed(path.steps) if isinstance(step, str)), path.name)


def _known(cast: str) -> str:
    if not known_type(cast):
        raise UnknownType(cast)
    return cast


def _checked(cast: str | None) -> str | None:
    return None if cast is None else _known(cast)


def least(asked: int | None, most: int | None) -> int | None:
    """The smaller of two limits, ``None``: no limit."""
    return most if asked is None else asked if most is None else min(asked, most)
