"""Catalogs, and changes of catalogs as a team would make them: fields come and go, are renamed, retyped, constrained.

A ``Draft`` is a catalog that still knows where everything comes from, so that a test can tell, without asking the code
under test, which value of the old schema is which value of the new one.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import re
from typing import Any

import hypothesis.strategies as st
import msgspec

from mbaas.core.schema.catalog import Catalog, Check, Collection, Field, Function, Index, IndexField, Reference
from mbaas.core.schema.types import parse_type

COLLECTIONS = ("posts", "Weird Name", "tags", "o'clock", "a" * 40, "über")
FIELDS = ("title", "n", "order", "Mixed Case", 'quo"te', "naïve", "select", "x" * 60, "rank", "body", "state", "who")
TYPES = (
    "text text text int int bigint float numeric numeric(6,2) bool uuid timestamptz date time interval json bytes enum "
    "email url text[] int[] uuid[] email[] int4range daterange tstzrange tsvector"
).split()
# Values that meet every constraint the strategies choose, so that most changes have nothing in their way.
VALUES = {
    "text": ["alpha", "beta 2", "gamma"],
    "enum": ["open", "done"],
    "email": ["ann@example.com", "bob@example.org"],
    "url": ["https://example.com/a?b=c", "http://localhost:3000"],
    "int": ["1", "7", "40"],
    "bigint": ["1", "8", "41"],
    "float": ["1", "2.5", "40.125"],
    "numeric": ["1", "2.50", "40.000"],
    "bool": ["true", "false"],
    "uuid": ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"],
    "timestamptz": ["2024-02-29T12:00:00.123456Z", "infinity"],
    "date": ["2024-02-29", "0044-03-15 BC"],
    "time": ["23:59:59.999999", "00:00"],
    "interval": ["1 month 2 days 3 hours", "-1 year"],
    "json": ['{"a": [1, null, "x"]}', "null", "1.10"],
    "bytes": [r"\x00ff", r"\x"],
    "int4range": ["[1,5)", "empty", "(,)"],
    "daterange": ["[2024-01-01,2024-02-01)", "empty"],
    "tstzrange": ['["2024-01-01 00:00:00+00",)'],
    "tsvector": ["'a':1 'b':2"],
}
ODD = {
    "text": ["", "naïve ☃ 'quoted' \\ \"x\"", "line\nbreak", "ALPHA" * 20],
    "int": ["-2147483648", "2147483647", "0"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "float": ["NaN", "-Infinity", "1e-300", "0.1"],
    "numeric": ["NaN", "123456789012345678901234567890.123", "-0.005"],
}
DEFAULTS = {
    "text": ["'alpha'", "''", "lower('BETA')"],
    "enum": ["'open'"],
    "email": ["'ann@example.com'"],
    "url": ["'http://localhost:3000'"],
    "int": ["1", "(2 + 3)"],
    "bigint": ["8"],
    "float": ["2.5", "random()"],
    "numeric": ["1.50"],
    "bool": ["false", "not false"],
    "uuid": ["gen_random_uuid()", "auth.uid()"],
    "timestamptz": ["now()"],
    "date": ["current_date"],
    "json": ["'{}'", "jsonb_build_object('a', 1)"],
}
# What a type may become: kept, then narrowed.
WIDER = {
    "int": ["bigint", "numeric", "float", "text"],
    "bigint": ["numeric", "text"],
    "numeric(6,2)": ["numeric(8,2)", "numeric(9,3)", "numeric", "text"],
    "numeric(8,2)": ["numeric(10,2)", "numeric"],
    "bool": ["text"],
    "uuid": ["text"],
    "date": ["timestamptz", "text"],
    "email": ["text"],
    "url": ["text"],
    "enum": ["text"],
    "json": ["text"],
    "timestamptz": ["text"],
    "interval": ["text"],
    "int4range": ["text"],
}
NARROWER = {
    "bigint": ["int"],
    "numeric": ["numeric(6,2)", "int"],
    "numeric(8,2)": ["numeric(6,1)"],
    "numeric(10,2)": ["numeric(8,1)"],
    "timestamptz": ["date"],
    "float": ["numeric", "int"],
}
FUNCTIONS = (
    "create or replace function tally(a integer) returns integer language sql as 'select a + 1'",
    "create function tally(a integer, b text default 'x') returns text language sql as 'select b || a'",
    "create or replace function tally() returns table (n bigint) language sql as 'select count(*) from pg_class'",
)


@dataclasses.dataclass(repr=False)
class DraftField:
    """origin: the field's name in the version before, ``None`` when it is new. type: as written in mbaas.toml."""

    field: Field
    type: str
    origin: str | None = None

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def __repr__(self) -> str:
        said = {
            name: getattr(self.field, name) for name in self.field.__struct_fields__ if name not in {"name", "type"}
        }
        listed = ", ".join(f"{name}={value!r}" for name, value in said.items() if value not in (None, False, ()))
        return f"{self.field.name!r}: {self.type} ({listed}; was {self.origin!r})"


@dataclasses.dataclass
class DraftCollection:
    name: str
    key: tuple[str, ...]
    fields: list[DraftField]
    indexes: list[Index] = dataclasses.field(default_factory=list)
    checks: list[Check] = dataclasses.field(default_factory=list)
    sync: bool = False
    origin: str | None = None

    def field(self, name: str) -> DraftField:
        return next(item for item in self.fields if item.field.name == name)

    @property
    def names(self) -> list[str]:
        return [item.field.name for item in self.fields]


@dataclasses.dataclass
class Draft:
    collections: list[DraftCollection]
    function: str | None = None

    @property
    def catalog(self) -> Catalog:
        found = {}
        for item in self.collections:
            fields = [
                msgspec.structs.replace(
                    draft.field, renamed_from=draft.origin if draft.origin != draft.field.name else None
                )
                for draft in item.fields
            ]
            found[item.name] = Collection(
                name=item.name,
                fields=tuple(fields),
                key=item.key,
                indexes=tuple(item.indexes),
                checks=tuple(item.checks),
                sync=item.sync,
                renamed_from=item.origin if item.origin != item.name else None,
            )
        functions = () if self.function is None else (Function(name="tally", execute=("anon",)),)
        return Catalog(collections=found, functions=functions)

    @property
    def functions_sql(self) -> dict[str, str]:
        return {} if self.function is None else {"tally": self.function}

    def next(self) -> Draft:
        """The same catalog as the version that the next changes start from."""
        following = copy.deepcopy(self)
        for item in following.collections:
            item.origin = item.name
            for draft in item.fields:
                draft.origin = draft.field.name
        return following


def field_values(item: DraftField) -> st.SearchStrategy[str | None]:
    """Input texts for a field, ``None`` for null."""
    base = item.type.removesuffix("[]").split("(")[0]
    field = item.field
    texts = [value for value in VALUES[base] if not field.values or value in field.values]
    free = not (field.values or field.pattern or field.minimum or field.maximum or field.max_length or field.min_length)
    if free and base in ODD and not item.type.endswith("[]") and "(" not in item.type:
        texts = texts * 3 + ODD[base]
    if item.type.endswith("[]"):
        texts = ["{" + ",".join(f'"{text}"' for text in texts) + "}", "{}" if not field.min_length else texts[0]]
        texts = [text for text in texts if text.startswith("{")]
    found = st.sampled_from(texts)
    return found if field.required else st.none() | found


@st.composite
def fields(draw: st.DrawFn, name: str, others: list[DraftCollection]) -> DraftField:
    """A new field. others: collections it may refer to."""
    targets = [item for item in others if len(item.key) == 1]
    kind = draw(st.sampled_from(["plain"] * 6 + ["reference"] * 2 + ["user"]))
    if kind == "reference" and targets:
        target = draw(st.sampled_from(targets))
        of_key = target.field(target.key[0])
        reference = Reference(table=target.name, columns=target.key, on_delete=draw(_ON_DELETE))
        return DraftField(Field(name=name, type=of_key.field.type, references=reference), of_key.type)
    if kind == "user":
        reference = Reference(table="auth.users", columns=("id",), on_delete=draw(_ON_DELETE))
        return DraftField(Field(name=name, type=parse_type("uuid"), references=reference), "uuid")
    written = draw(st.sampled_from(TYPES))
    base = written.removesuffix("[]").split("(")[0]
    default = draw(st.none() | st.sampled_from(DEFAULTS[base])) if base in DEFAULTS and "[" not in written else None
    field = Field(
        name=name,
        type=parse_type(written),
        default=default,
        required=default not in {None, "auth.uid()"} and draw(st.booleans()),
        unique=base in {"text", "int", "bigint"} and "[" not in written and draw(st.sampled_from([False, False, True])),
        values=("open", "done", "late") if base == "enum" else (),
    )
    return DraftField(draw(constrained(field, written)), written)


_ON_DELETE = st.sampled_from(["no action", "restrict", "cascade", "set null"])


@st.composite
def constrained(draw: st.DrawFn, field: Field, written: str) -> Field:
    """The field with other bounds, lengths or pattern; ``VALUES`` meet them all."""
    changes: dict[str, object] = {"minimum": None, "maximum": None, "min_length": None, "max_length": None}
    if written in {"int", "bigint", "float", "numeric", "numeric(6,2)", "int[]"}:
        changes["minimum"] = draw(st.sampled_from([None, None, "0", "1"]))
        changes["maximum"] = draw(st.sampled_from([None, None, "1000", "100.0" if written == "numeric" else "100"]))
    if written in {"text", "email", "url", "bytes", "text[]"}:
        changes["max_length"] = draw(st.sampled_from([None, None, 30, 40]))
    if written == "text":
        changes["min_length"] = draw(st.sampled_from([None, None, 1]))
        changes["pattern"] = draw(st.sampled_from([None, None, r"^[a-z0-9 ]*$", r"^\w"]))
    if written == "enum":
        changes["values"] = draw(st.sampled_from([("open", "done"), ("open", "done", "it's"), ("done", "open")]))
    return msgspec.structs.replace(field, **changes)


@st.composite
def new_collections(draw: st.DrawFn, name: str, others: list[DraftCollection]) -> DraftCollection:
    """A collection of one to four fields beside its key. others: collections it may refer to."""
    shape = draw(st.sampled_from(["uuid"] * 3 + ["identity", "natural", "composite"]))
    keys = {
        "uuid": [DraftField(Field(name="id", type=parse_type("uuid"), default="gen_random_uuid()"), "uuid")],
        "identity": [DraftField(Field(name="id", type=parse_type("bigint"), identity=True, managed=True), "bigint")],
        "natural": [DraftField(Field(name="id", type=parse_type("text"), required=True), "text")],
        "composite": [
            DraftField(Field(name="left", type=parse_type("int"), required=True), "int"),
            DraftField(Field(name="right", type=parse_type("text"), required=True), "text"),
        ],
    }[shape]
    found = DraftCollection(name, tuple(item.field.name for item in keys), keys)
    for chosen in draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=4, unique=True)):
        itself = [found] if shape != "composite" else []
        found.fields.append(draw(fields(chosen, [*others, *itself])))
    if draw(st.booleans()):
        _toggle_updated_at(found)
    if draw(st.sampled_from([False, False, True])):
        _toggle_sync(found)
    if draw(st.booleans()):
        _add_index(found, draw)
    return found


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    """A first version: one to three collections."""
    found = Draft([])
    for name in draw(st.lists(st.sampled_from(COLLECTIONS), min_size=1, max_size=3, unique=True)):
        found.collections.append(draw(new_collections(name, found.collections)))
    found.function = draw(st.sampled_from([None, *FUNCTIONS]))
    return found


@st.composite
def changed(draw: st.DrawFn, draft: Draft) -> Draft:
    """The next version: one to four changes."""
    found = draft.next()
    for _ in range(draw(st.integers(1, 4))):
        draw(st.sampled_from(_CHANGES))(found, draft, draw)
    return found


@st.composite
def histories(draw: st.DrawFn, *, versions: int) -> list[Draft]:
    """``versions`` catalogs, each made from the one before."""
    found = [draw(drafts())]
    while len(found) < versions:
        found.append(draw(changed(found[-1])))
    return found


def _toggle_updated_at(item: DraftCollection) -> None:
    if "updated_at" in item.names:
        if _free(item, "updated_at"):
            item.fields.remove(item.field("updated_at"))
        return
    stamp = Field(name="updated_at", type=parse_type("timestamptz"), required=True, default="now()", managed=True)
    item.fields.append(DraftField(stamp, "timestamptz"))


def _toggle_sync(item: DraftCollection) -> None:
    stamps = ("_modified", "_deleted")
    if item.sync and not all(_free(item, name) for name in stamps):
        return
    item.sync = not item.sync
    if not item.sync:
        item.fields = [draft for draft in item.fields if draft.field.name not in stamps]
        return
    stamp = Field(name="_modified", type=parse_type("timestamptz"), required=True, default="now()", managed=True)
    gone = Field(name="_deleted", type=parse_type("bool"), required=True, default="false")
    item.fields += [DraftField(stamp, "timestamptz"), DraftField(gone, "bool")]


def _indexable(item: DraftCollection) -> list[DraftField]:
    return [draft for draft in item.fields if draft.type not in {"json", "tsvector"} and "[" not in draft.type]


def _add_index(item: DraftCollection, draw: st.DrawFn) -> None:
    number = next(i for i in itertools.count(1) if all(not x.name.endswith(f"idx{i}") for x in item.indexes))
    name = f"{item.name[:20]}_idx{number}"
    special = [draft for draft in item.fields if draft.type in {"json", "text[]", "int[]", "tsvector"}]
    if special and draw(st.booleans()):
        column = draw(st.sampled_from(special)).field.name
        item.indexes.append(Index(name=name, fields=(IndexField(column),), method="gin"))
        return
    columns = draw(
        st.lists(st.sampled_from(_indexable(item)), min_size=1, max_size=2, unique_by=lambda d: d.field.name)
    )
    item.indexes.append(
        Index(
            name=name,
            fields=tuple(IndexField(draft.field.name, draw(st.booleans())) for draft in columns),
            unique=draw(st.sampled_from([False, False, False, True])),
            where=draw(st.sampled_from([None, f"{_quoted(item.names[-1])} is not null"])),
        )
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _speaks_of(text: str | None, name: str) -> bool:
    return text is not None and _quoted(name) in text


def _free(item: DraftCollection, name: str) -> bool:
    """Nothing else of the collection stands on the field."""
    return (
        name not in item.key
        and not any(name in {f.name for f in index.fields} or _speaks_of(index.where, name) for index in item.indexes)
        and not any(_speaks_of(check.expression, name) for check in item.checks)
        and not any(_speaks_of(draft.field.generated, name) for draft in item.fields)
    )


def _some(draft: Draft, draw: st.DrawFn) -> DraftCollection | None:
    return draw(st.sampled_from(draft.collections)) if draft.collections else None


def _plain(item: DraftCollection) -> list[DraftField]:
    """Fields that a change may take by itself."""
    special = {"updated_at", "_modified", "_deleted", *item.key}
    return [draft for draft in item.fields if draft.field.name not in special]


def _add_collection(draft: Draft, before: Draft, draw: st.DrawFn) -> None:
    used = {item.name for item in (*draft.collections, *before.collections)}
    if free := [name for name in COLLECTIONS if name not in used]:
        draft.collections.append(draw(new_collections(draw(st.sampled_from(free)), draft.collections)))


def _drop_collection(draft: Draft, _: Draft, draw: st.DrawFn) -> None:
    item = _some(draft, draw)
    if item is None or len(draft.collections) == 1:
        return
    draft.collections.remove(item)
    for other in draft.collections:
        for found in other.fields:
            reference = found.field.references
            if reference is not None and reference.table == item.name:
                found.field = msgspec.structs.replace(found.field, references=None)


def _rename_collection(draft: Draft, before: Draft, draw: st.DrawFn) -> None:
    used = {item.name for item in (*draft.collections, *before.collections)}
    free = [name for name in COLLECTIONS if name not in used]
    item = _some(draft, draw)
    if item is None or not free:
        return
    old, item.name = item.name, draw(st.sampled_from(free))
    for other in draft.collections:
        for found in other.fields:
            reference = found.field.references
            if reference is not None and reference.table == old:
                reference = msgspec.structs.replace(reference, table=item.name)
                found.field = msgspec.structs.replace(found.field, references=reference)


def _add_field(draft: Draft, before: Draft, draw: st.DrawFn) -> None:
    item = _some(draft, draw)
    if item is None:
        return
    was = next((old for old in before.collections if old.name == item.origin), None)
    free = [name for name in FIELDS if name not in item.names and (was is None or name not in was.names)]
    if free:
        item.fields.append(draw(fields(draw(st.sampled_from(free)), draft.collections)))


def _drop_field(draft: Draft, _: Draft, draw: st.DrawFn) -> None:
    item = _some(draft, draw)
    free = [] if item is None else [found for found in _plain(item) if _free(item, found.field.name)]
    if item is not None and free:
        item.fields.remove(draw(st.sampled_from(free)))


def _rename_field(draft: Draft, before: Draft, draw: st.DrawFn) -> None:
    item = _some(draft, draw)
    if item is None or not _plain(item):
        return
    was = next((old for old in before.collections if old.name == item.origin), None)
    free = [name for name in FIELDS if name not in item.names and (was is None or name not in was.names)]
    if not free:
        return
    found, new = draw(st.sampled_from(_plain(item))), draw(st.sampled_from(free))
    old = found.field.name

    def text(expression: str | None) -> str | None:
        return None if expression is None else expression.replace(_quoted(old), _quoted(new))

    found.field = msgspec.structs.replace(found.field, name=new)
    for other in item.fields:
        other.field = msgspec.structs.replace(other.field, generated=text(other.field.generated))
    item.checks = [Check(check.name, text(check.expression) or "") for check in item.checks]
    item.indexes = [
        msgspec.structs.replace(
            index,
            fields=tuple(IndexField(new if f.name == old else f.name, f.descending) for f in index.fields),
            where=text(index.where),
        )
        for index in item.indexes
    ]


def _retype(draft: Draft, _: Draft, draw: st.DrawFn) -> None:
    item = _some(draft, draw)
    ways = {**{name: WIDER[name] for name in WIDER}, **NARROWER} if draw(st.booleans()) else WIDER
    able = [
        found
        for found in ([] if item is None else _plain(item))
        if found.type in ways
        and found.field.references is None
        and found.field.generated is None
        and item is not None
        and _free(item, found.field.name)
        and not found.field.identity
    ]
    if not able:
        return
    found = draw(st.sampled_from(able))
    written = draw(st.sampled_from(ways[found.type]))
    plain = {"minimum": None, "maximum": None, "min_length": None, "max_length": None, "pattern": None, "values": ()}
    default = found.field.default if written == "bigint" else None
    required = found.field.required
    changes = {**plain, "type": parse_type(written), "default": default, "unique": False, "required": required}
    found.field, found.type = msgspec.structs.replace(found.field, **changes), written


def _reconstrain(draft: Draft, _: Draft, draw: st.DrawFn) -> None:
    item = _some(draft, draw)
    able = [] if item is None else [found for found in _plain(item) if found.field.generated is None]
    if able:
        found = draw(st.sampled_from(able))
        found.field = draw(constrained(found.field, found.type))


def _toggle(draft: Draft, _: Draft, draw: st.DrawFn) -> None:
    item = _some(draft, draw)
    able = [] if item is None else [found for found in _plain(item) if found.field.generated is None]
    if not able:
        return
    found = draw(st.sampled_from(able))
    field, base = found.field, found.type.removesuffix("[]").split("(")[0]
    what = draw(st.sampled_from(["required", "unique", "default", "identity", "on_delete"]))
    if what == "required":
        field = msgspec.structs.replace(field, required=not field.required and not field.identity)
    elif what == "unique" and base in {"text", "int", "bigint", "uuid", "date"} and "[" not in found.type:
        field = msgspec.structs.replace(field, unique=not field.unique)
    elif what == "default" and base in DEFAULTS and "[" not in found.type and not field.identity:
        field = msgspec.structs.replace(field, default=draw(st.none() | st.sampled_from(DEFAULTS[base])))
    elif what == "identity" and base in {"int", "bigint"} and "[" not in found.type and field.references is None:
        field = msgspec.structs.replace(field, identity=not field.identity, default=None, required=True)
    elif what == "on_delete" and field.references is not None:
        reference = msgspec.structs.replace(field.references, on_delete=draw(_ON_DELETE))
        field = msgspec.structs.replace(field, references=draw(st.sampled_from([None, reference, reference])))
    found.field = field


def _generate(draft: Draft, _: Draft, draw: st.DrawFn) -> None:
    """A generated field comes, goes, or becomes an ordinary one and the reverse."""
    item = _some(draft, draw)
    if item is None:
        return
    sources = {"text": "upper({0})", "int": "{0} % 7", "bool": "not {0}"}
    expressions = [
        (found.type, sources[found.type].format(_quoted(found.field.name)))
        for found in _plain(item)
        if found.type in sources and found.field.generated is None
    ]
    able = [found for found in _plain(item) if found.field.references is None and _free(item, found.field.name)]
    if not able:
        return
    found = draw(st.sampled_from(able))
    if found.field.generated is not None and draw(st.booleans()):
        found.field = msgspec.structs.replace(found.field, generated=None)
        return
    own = [text for written, text in expressions if written == found.type and not _speaks_of(text, found.field.name)]
    if own:
        plain = Field(name=found.field.name, type=parse_type(found.type), generated=draw(st.sampled_from(own)))
        found.field = plain


def _index(draft: Draft, _: Draft, draw: st.DrawFn) -> None:
    item = _some(draft, draw)
    if item is None:
        return
    if item.indexes and draw(st.booleans()):
        item.indexes.remove(draw(st.sampled_from(item.indexes)))
    else:
        _add_index(item, draw)


def _check(draft: Draft, _: Draft, draw: st.DrawFn) -> None:
    item = _some(draft, draw)
    if item is None:
        return
    if item.checks:
        item.checks = []
        return
    first, last = _quoted(item.names[0]), _quoted(item.names[-1])
    text = draw(st.sampled_from([f"{first} is not null or {last} is null", f"({last} is null)or({first}) is not null"]))
    item.checks = [Check("by hand", text)]


def _stamps(draft: Draft, _: Draft, draw: st.DrawFn) -> None:
    item = _some(draft, draw)
    if item is not None:
        draw(st.sampled_from([_toggle_updated_at, _toggle_sync]))(item)


def _rekey(draft: Draft, _: Draft, draw: st.DrawFn) -> None:
    """Another key: some unique-looking field beside the old one, which stays an ordinary field."""
    item = _some(draft, draw)
    if item is None:
        return
    referred = {
        found.field.references.table
        for other in draft.collections
        for found in other.fields
        if found.field.references is not None
    }
    able = [found for found in _plain(item) if found.type in {"text", "int", "bigint", "uuid"}]
    if able and item.name not in referred:
        found = draw(st.sampled_from(able))
        item.key = (*item.key[:1], found.field.name) if draw(st.booleans()) else (found.field.name,)


def _function(draft: Draft, _: Draft, draw: st.DrawFn) -> None:
    draft.function = draw(st.sampled_from([None, *FUNCTIONS]))


_CHANGES = [
    _add_collection,
    _drop_collection,
    _rename_collection,
    *[_add_field] * 3,
    *[_drop_field] * 3,
    *[_rename_field] * 3,
    *[_retype] * 3,
    *[_reconstrain] * 2,
    *[_toggle] * 3,
    _generate,
    _index,
    _index,
    _check,
    _stamps,
    _rekey,
    _function,
]

# Index names would collide otherwise: two collections whose names begin alike.
assert len({re.sub(r"\W", "", name)[:20] for name in COLLECTIONS}) == len(COLLECTIONS)
