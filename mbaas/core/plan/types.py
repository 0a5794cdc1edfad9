"""A request whose every name exists, typed by the catalog. Nothing here says yet who may see what: that is authorize's.

A plan is a tree: each embed holds the plan of its own rows. ``alias`` ("e1", "e2" ...) is unique in the whole tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec

from mbaas.core.expr.types import TRUE, Column, Expr
from mbaas.core.plan.relations import Relation
from mbaas.core.schema.catalog import Argument, Collection, Field, Function

Counting: TypeAlias = Literal["exact", "planned", "estimated"]
AggregateName: TypeAlias = Literal["sum", "avg", "min", "max", "count"]

_EMBED_TEST = "\0"  # no column of PostgreSQL can hold a NUL, so no name of a caller meets these
_COMPUTED = "\0\0"


def embed_test(alias: str) -> Column:
    """A virtual column of a plan's filter: whether the embed of that alias has a row."""
    return Column(_EMBED_TEST + alias)


def tested_embed(column: Column) -> str | None:
    """The alias when the column is virtual.

    >>> tested_embed(embed_test("e1")), tested_embed(Column("e1"))
    ('e1', None)
    """
    name = column.name
    return name[1:] if name.startswith(_EMBED_TEST) and not name.startswith(_COMPUTED) else None


def computed_field(function: str) -> Column:
    """A virtual column: what the function of that name makes of the row."""
    return Column(_COMPUTED + function)


def computed_by(column: Column) -> str | None:
    """The function when the column is computed.

    >>> computed_by(computed_field("f")), computed_by(embed_test("e1"))
    ('f', None)
    """
    return column.name[2:] if column.name.startswith(_COMPUTED) else None


class FieldOutput(msgspec.Struct, frozen=True, tag="field"):
    """One key of the answer and what stands under it."""

    key: str
    expr: Expr


class AggregateOutput(msgspec.Struct, frozen=True, tag="aggregate"):
    """``function(argument)``; ``count`` without an argument counts rows. ``cast``: of the result.

    of: the type of the argument.
    """

    key: str
    function: AggregateName
    argument: Expr | None = None
    cast: str | None = None
    of: str = ""


class EmbedOutput(msgspec.Struct, frozen=True, tag="embed"):
    """The rows of the embed of that alias, as an object or an array."""

    key: str
    alias: str


class SpreadOutput(msgspec.Struct, frozen=True, tag="spread"):
    """The keys of an embed, lifted to this level; each a list when there may be several records.

    Aggregates of a to-one embed are lifted too: they are of the rows here, and the embed gives what they are made of.
    """

    alias: str


Output: TypeAlias = FieldOutput | AggregateOutput | EmbedOutput | SpreadOutput


class Order(msgspec.Struct, frozen=True):
    """``embed``: the alias of the to-one embed whose record ``expr`` reads, else ``None``. type: by which to bind."""

    expr: Expr
    descending: bool = False
    nulls: Literal["first", "last"] | None = None
    embed: str | None = None
    type: str = "text"


class Keyset(msgspec.Struct, frozen=True, kw_only=True):
    """The rows behind one, in an order in which no two are equal.

    digest: of the order, for cursors. after: what the order's terms are in that row; ``None``: from the first row on.
    filled: fields that are never null.
    """

    digest: str
    after: tuple[str | None, ...] | None
    filled: frozenset[str]


class Embed(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of another collection beside each row. inner: a row without any of them is left out."""

    alias: str
    relation: Relation
    plan: ReadPlan
    inner: bool = False


class ReadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one collection, or of a function's result.

    collection: whose rows; ``None``: a function's, of a type that is no collection's. grouped: there are aggregates of
    this level's rows, so the other outputs group. outputs may be empty: an embed that only filters. computed: the
    functions whose fields are read. keyset: the page is cut by place, not by number.
    uses: hidden fields that conditions and order of the server's own read. having: over the keys of aggregates.
    """

    collection: Collection | None
    outputs: tuple[Output, ...]
    where: Expr = TRUE
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0
    embeds: tuple[Embed, ...] = ()
    grouped: bool = False
    computed: tuple[Function, ...] = ()
    keyset: Keyset | None = None
    uses: tuple[str, ...] = ()
    having: Expr = TRUE

    @property
    def aggregates(self) -> bool:
        """Whether there are any among its keys, its own or lifted ones."""
        return any(isinstance(output, AggregateOutput) for _, output in self.columns())

    def columns(self) -> Iterator[tuple[str, Output]]:
        """The columns of one row, in order: the key of each and its output, for a spread one that of the embed."""
        for output in self.outputs:
            if isinstance(output, SpreadOutput):
                yield from dict(self.embed(output.alias).plan.columns()).items()
            else:
                yield output.key, output

    def embed(self, alias: str) -> Embed:
        return next(embed for embed in self.embeds if embed.alias == alias)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What goes out besides doing it.

    rows: the representation, ``None``: none. location: ``rows`` are keys, for that header. singular: exactly one row
    or nothing happens. max_affected: more rows and nothing happens. total: of a read, how to know the rows regardless
    of the window; ``None``: not at all. rollback: it is all taken back in the end.
    """

    rows: ReadPlan | None = None
    location: bool = False
    singular: bool = False
    stripped: bool = False
    max_affected: int | None = None
    total: Counting | None = None
    rollback: bool = False


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """``ON CONFLICT``. target: a unique set. update: the fields a merge overwrites; ``None``: the old row stays."""

    target: tuple[str, ...]
    update: tuple[str, ...] | None


class ListPlan(msgspec.Struct, frozen=True, kw_only=True):
    rows: ReadPlan
    answer: Answer = Answer()


class InsertPlan(msgspec.Struct, frozen=True, kw_only=True):
    """payload: a JSON array of objects, as text. fields: those taken from it. missing_default: absent keys default.

    defaults: of fields whose default asks who the caller is.
    """

    collection: Collection
    payload: str
    fields: tuple[Field, ...]
    missing_default: bool = False
    conflict: Conflict | None = None
    defaults: dict[str, Expr] = {}
    answer: Answer = Answer()


class UpdatePlan(msgspec.Struct, frozen=True, kw_only=True):
    """payload: one JSON object, as text. fields: those it changes. fixed: those it names that must be as they are.

    computed: as of ``ReadPlan``, read by ``where``.
    """

    collection: Collection
    payload: str
    fields: tuple[Field, ...]
    fixed: tuple[Field, ...] = ()
    where: Expr = TRUE
    computed: tuple[Function, ...] = ()
    answer: Answer = Answer()


class DeletePlan(msgspec.Struct, frozen=True, kw_only=True):
    collection: Collection
    where: Expr = TRUE
    computed: tuple[Function, ...] = ()
    answer: Answer = Answer()


class CallPlan(msgspec.Struct, frozen=True, kw_only=True):
    """payload: a JSON object of the given arguments, as text; the raw body when ``raw``, for the one unnamed argument.

    answer.rows: of a result that has columns, ``None`` for bare values; limit and offset are for a set of those.
    """

    function: Function
    arguments: tuple[Argument, ...]
    payload: str
    raw: bool = False
    read_only: bool = False
    limit: int | None = None
    offset: int = 0
    answer: Answer = Answer()


WritePlan: TypeAlias = InsertPlan | UpdatePlan | DeletePlan
Plan: TypeAlias = ListPlan | WritePlan | CallPlan
