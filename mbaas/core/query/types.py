"""What a caller of ``/rest/v1`` asked for, as values. It may still make no sense: no name is looked up here.

The grammar is PostgREST's. Embedded resources form a tree; a filter, order or window carries the path of the embed it
belongs to: ``()`` is the collection itself, ``("comments", "author")`` an embed inside an embed.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

EmbedPath: TypeAlias = tuple[str, ...]


class Path(msgspec.Struct, frozen=True):
    """A column, and the way into its JSON: ``data->a->0->>b``. Each step: key or index, and whether it gives text."""

    name: str
    steps: tuple[tuple[str | int, bool], ...] = ()


# --- select ----------------------------------------------------------------------------------------------------------


class Star(msgspec.Struct, frozen=True, tag="star"):
    """Every field the caller may see."""


class ColumnItem(msgspec.Struct, frozen=True, tag="column"):
    """``alias:path::cast.aggregate()::aggregate_cast``."""

    path: Path
    alias: str | None = None
    cast: str | None = None
    aggregate: Literal["sum", "avg", "min", "max", "count"] | None = None
    aggregate_cast: str | None = None


class CountItem(msgspec.Struct, frozen=True, tag="count"):
    """``alias:count()``: the number of rows."""

    alias: str | None = None
    cast: str | None = None


class EmbedItem(msgspec.Struct, frozen=True, tag="embed"):
    """``alias:target!hint!inner(items)``, or ``...target(items)`` when ``spread``."""

    target: str
    items: tuple[SelectItem, ...]
    alias: str | None = None
    hint: str | None = None
    inner: bool = False
    spread: bool = False


SelectItem: TypeAlias = Star | ColumnItem | CountItem | EmbedItem

# --- filters ---------------------------------------------------------------------------------------------------------


class Condition(msgspec.Struct, frozen=True, tag="condition"):
    """``path=not.operator(quantifier).value``.

    operator: PostgREST's word (``eq``, ``cs``, ``wfts`` ...). value: the raw text, ``*`` of a pattern not yet ``%``;
    of ``is`` one of null, not_null, true, false, unknown; for ``in`` and quantified ones a tuple: their list or array
    literal taken apart, ``None`` for an array's unquoted NULL. config: of full-text operators.
    """

    path: Path
    operator: str
    value: str | tuple[str | None, ...]
    negated: bool = False
    quantifier: Literal["any", "all"] | None = None
    config: str | None = None


class Logic(msgspec.Struct, frozen=True, tag="logic"):
    """``and(...)`` or ``or(...)``, possibly negated. Never empty."""

    operator: Literal["and", "or"]
    items: tuple[Filter, ...]
    negated: bool = False


Filter: TypeAlias = Condition | Logic


class OrderTerm(msgspec.Struct, frozen=True):
    """``path.desc.nullslast``; ``relation`` when it is ``relation(path)``."""

    path: Path
    relation: str | None = None
    descending: bool = False
    nulls: Literal["first", "last"] | None = None


class Window(msgspec.Struct, frozen=True):
    limit: int | None = None
    offset: int = 0


class ReadParts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a query string can say about rows that go out, and which ones are meant.

    filters: ANDed, each with the path of its embed. order, windows: by that path. words: ``cursor``, ``search``,
    ``near``, ``within``, ``distance`` and ``having`` as they came: the catalog says whether one is a column instead.
    """

    select: tuple[SelectItem, ...] = (Star(),)
    filters: tuple[tuple[EmbedPath, Filter], ...] = ()
    order: dict[EmbedPath, tuple[OrderTerm, ...]] = {}
    windows: dict[EmbedPath, Window] = {}
    words: tuple[tuple[str, str], ...] = ()


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """A whole query string. columns, on_conflict: ``None`` when not given. arguments: of a function called by GET."""

    parts: ReadParts = ReadParts()
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] | None = None
    arguments: tuple[tuple[str, str], ...] = ()


# --- headers ---------------------------------------------------------------------------------------------------------


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """The ``Prefer`` header (RFC 7240) as PostgREST reads it. ``None``: not said. unknown: items nobody knows."""

    representation: Literal["representation", "minimal", "headers-only"] | None = None
    count: Literal["exact", "planned", "estimated"] | None = None
    resolution: Literal["merge-duplicates", "ignore-duplicates"] | None = None
    missing: Literal["default", "null"] | None = None
    handling: Literal["strict", "lenient"] | None = None
    max_affected: int | None = None
    transaction: Literal["commit", "rollback"] | None = None
    unknown: tuple[str, ...] = ()


class Explain(msgspec.Struct, frozen=True):
    """How PostgreSQL carries a request out, instead of doing it. options: of EXPLAIN, in the order given."""

    format: Literal["text", "json"] = "text"
    options: tuple[str, ...] = ()


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer's body shall be. stripped: without null keys. explain: the plan of making that body."""

    kind: Literal["json", "object", "csv", "openapi"] = "json"
    stripped: bool = False
    explain: Explain | None = None


class Payload(msgspec.Struct, frozen=True):
    """A body, checked, as the text that goes to PostgreSQL.

    text: a JSON array of objects for an insert, one JSON object for an update or a call. columns: the keys it sets,
    sorted, each once. rows: how many; ``None`` for a body that is no object, which only a function of one unnamed
    argument can take.
    """

    text: str
    columns: tuple[str, ...] = ()
    rows: int | None = None


# --- requests --------------------------------------------------------------------------------------------------------


class ReadQuery(msgspec.Struct, frozen=True, kw_only=True):
    """GET or HEAD of a collection."""

    collection: str
    parts: ReadParts
    preferences: Preferences = Preferences()
    media: Media = Media()


class InsertQuery(msgspec.Struct, frozen=True, kw_only=True):
    """POST of a collection.

    payload: a JSON array of objects, as text. columns: the keys it sets (the ``columns`` parameter, or the keys that
    all objects share). on_conflict: the columns of ``on_conflict``, ``None`` when it was not given.
    """

    collection: str
    payload: str
    columns: tuple[str, ...]
    on_conflict: tuple[str, ...] | None = None
    parts: ReadParts = ReadParts()
    preferences: Preferences = Preferences()
    media: Media = Media()


class UpdateQuery(msgspec.Struct, frozen=True, kw_only=True):
    """PATCH of a collection. payload: one JSON object, as text. columns: its keys; none changes nothing."""

    collection: str
    payload: str
    columns: tuple[str, ...]
    parts: ReadParts = ReadParts()
    preferences: Preferences = Preferences()
    media: Media = Media()


class DeleteQuery(msgspec.Struct, frozen=True, kw_only=True):
    """DELETE of a collection."""

    collection: str
    parts: ReadParts = ReadParts()
    preferences: Preferences = Preferences()
    media: Media = Media()


class CallQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A function call.

    arguments: names given. payload: a JSON object of them as text (POST), else ``None`` with ``parameters`` holding the
    query string's own values, repeated names kept in order (GET). unnamed: the payload is no object of arguments, so
    that only a function of one unnamed argument of that kind can take it.
    """

    function: str
    arguments: tuple[str, ...]
    payload: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    unnamed: Literal["json", "text", "bytes"] | None = None
    read_only: bool = False
    parts: ReadParts = ReadParts()
    preferences: Preferences = Preferences()
    media: Media = Media()
