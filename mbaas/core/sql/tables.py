"""What a catalog asks of the database: every collection as a table, field constraints as PostgreSQL's own."""

from __future__ import annotations

from mbaas.core.errors import ConfigError
from mbaas.core.schema.catalog import Catalog, Collection, Field, Index
from mbaas.core.schema.naming import MAX_BYTES, fitting, object_name
from mbaas.core.schema.table import Foreign, Key, Table, TableCheck, TableColumn, TableIndex, TriggerKind
from mbaas.core.schema.types import SCALARS
from mbaas.core.sql.fragment import quote, quote_text

# A deliberately plain form: what is deliverable is found out by sending, not by a pattern (RFC 5321 allows far more).
_EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
_URL = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s/$.?#][^\s]*$"


def tables(catalog: Catalog) -> dict[str, Table]:
    """Every collection's table, by name; views and what is adopted are not ours to make.

    Raises ConfigError for names PostgreSQL cannot hold, or holds only once.
    """
    found = {
        name: _table(collection)
        for name, collection in catalog.collections.items()
        if not (collection.view or collection.adopted)
    }
    taken: dict[str, str] = {}
    for table in found.values():
        for name in sorted(table.relations):
            other = taken.setdefault(name, table.name)
            if other != table.name:
                raise ConfigError(
                    f"{other} and {table.name} both need a table or index called {name!r}",
                    hint="rename one of the two, or name its index",
                )
    return found


def _table(collection: Collection) -> Table:
    name = collection.name
    for owner, chosen in [("collection", name), *((f"field of {name}", field.name) for field in collection.fields)]:
        if not 0 < len(chosen.encode()) <= MAX_BYTES or "\0" in chosen or "." in chosen:
            raise ConfigError(f"{owner} {chosen!r}: a name has 1 to {MAX_BYTES} bytes and no dot", hint="rename it")
    _need_columns(collection)
    checks = [
        TableCheck(name=object_name(name, field.name, "check"), expression=expression)
        for field in collection.fields
        if (expression := check_expression(field)) is not None
    ]
    checks += [TableCheck(name=fitting(check.name), expression=check.expression) for check in collection.checks]
    for check in checks:
        if sum(other.name == check.name for other in checks) > 1:
            raise ConfigError(f"{name} has two checks called {check.name!r}", hint="give one another name")
    return Table(
        name=name,
        columns=tuple(_column(collection, field) for field in collection.fields),
        primary=Key(name=object_name(name, None, "pkey"), columns=collection.key),
        uniques=tuple(
            Key(name=object_name(name, field.name, "key"), columns=(field.name,))
            for field in collection.fields
            if field.unique and collection.key != (field.name,)
        ),
        checks=tuple(checks),
        foreigns=tuple(
            Foreign(
                name=foreign.name,
                columns=foreign.columns,
                table=foreign.reference.table,
                target=foreign.reference.columns,
                on_delete=foreign.reference.on_delete,
            )
            for foreign in collection.foreign_keys
        ),
        indexes=tuple(_index(index) for index in collection.indexes),
        triggers=_triggers(collection),
        renamed_from=collection.renamed_from,
    )


def _need_columns(collection: Collection) -> None:
    if not collection.key:
        raise ConfigError(f"{collection.name} has no key", hint="mark a field with key = true")
    wanted = [("key", name) for name in collection.key]
    wanted += [(f"index {index.name}", field.name) for index in collection.indexes for field in index.fields]
    if collection.sync:
        wanted += [("sync", "_modified"), ("sync", "_deleted")]
    for what, name in wanted:
        if collection.field(name) is None:
            raise ConfigError(
                f"{collection.name}: {what} needs the field {name!r}", hint="declare it, or mend the name"
            )


def _column(collection: Collection, field: Field) -> TableColumn:
    return TableColumn(
        name=field.name,
        type=field.type.sql,
        not_null=field.required or field.identity or field.name in collection.key,
        default=None if field.generated or field.identity else field.default,
        generated=field.generated,
        identity=field.identity,
        renamed_from=field.renamed_from,
    )


def _index(index: Index) -> TableIndex:
    return TableIndex(
        name=fitting(index.name), fields=index.fields, unique=index.unique, method=index.method, where=index.where
    )


def _triggers(collection: Collection) -> tuple[TriggerKind, ...]:
    updated_at = collection.field("updated_at")
    touched: tuple[TriggerKind, ...] = ("touch",) if updated_at is not None and updated_at.managed else ()
    return (*touched, "stamp") if collection.sync else touched


def check_expression(field: Field) -> str | None:
    """Everything a field demands of its value beyond its type, as one boolean expression; ``None`` when nothing.

    >>> from mbaas.core.schema.types import parse_type
    >>> check_expression(Field(name="n", type=parse_type("int"), minimum="1", maximum="6"))
    '"n" >= \\'1\\'::integer and "n" <= \\'6\\'::integer'
    """
    column = quote(field.name)
    parts: list[str] = []
    if field.values:
        choices = ", ".join(quote_text(value) for value in field.values)
        parts.append(f"{column} <@ array[{choices}]::text[]" if field.type.array else f"{column} in ({choices})")
    if field.type.name == "point" and not field.type.array:
        parts.append(f"abs({column}[0]) <= 90 and abs({column}[1]) <= 180")
    forms = {"email": _EMAIL, "url": _URL}
    parts += [
        _matches(field, pattern) for pattern in (forms.get(field.type.name), field.pattern) if pattern is not None
    ]
    parts += [
        _bounded(field, operator, literal)
        for operator, literal in ((">=", field.minimum), ("<=", field.maximum))
        if literal is not None
    ]
    parts += [
        f"{_length(field)} {operator} {length}"
        for operator, length in ((">=", field.min_length), ("<=", field.max_length))
        if length is not None
    ]
    return " and ".join(parts) or None


def _matches(field: Field, pattern: str) -> str:
    column, text = quote(field.name), quote_text(pattern)
    return f"mbaas.all_match({column}, {text})" if field.type.array else f"{column} ~ {text}"


def _bounded(field: Field, operator: str, literal: str) -> str:
    # Without precision: numeric(4,1) would round the bound itself.
    bound = f"{quote_text(literal)}::{SCALARS[field.type.name]}"
    if not field.type.array:
        return f"{quote(field.name)} {operator} {bound}"
    mirrored = {">=": "<=", "<=": ">="}[operator]
    return f"{bound} {mirrored} all ({quote(field.name)})"


def _length(field: Field) -> str:
    column = quote(field.name)
    if field.type.array:
        return f"cardinality({column})"
    if field.type.is_text:
        return f"char_length({column})"
    if field.type.name == "bytes":
        return f"octet_length({column})"
    raise ConfigError(
        f"{field.name}: {field.type.name} has no length", hint="use minimum and maximum, or drop min_length, max_length"
    )
