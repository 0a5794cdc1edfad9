"""``[collections.*]`` as a Catalog: what its author left out filled in, every name looked up."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn, TypeAlias

from mbaas.config.inputs import CollectionInput, FieldInput, IndexInput, RelationInput
from mbaas.config.literals import default_sql, literal_sql
from mbaas.config.source import KeyPath
from mbaas.core.errors import ConfigError
from mbaas.core.schema.catalog import Check, Collection, Field, Index, IndexField, Reference, Rules
from mbaas.core.schema.types import FieldType, parse_type

Fail: TypeAlias = Callable[..., ConfigError]
"""``fail(key path, message, hint=...)``: the error with file and line."""

USERS = "auth.users"
_NAME = re.compile(r"^[a-z_][a-z0-9_]{0,62}$")
# Words of the query string: a column of such a name could not be filtered.
_RESERVED = {"select", "columns", "on_conflict", "order", "limit", "offset", "and", "or", "not", "cursor", "search"}
_METHODS = {"btree", "hash", "gin", "gist", "spgist", "brin"}
_ID = Field(name="id", type=parse_type("uuid"), required=True, default="mbaas.uuidv7()")
_STAMP = parse_type("timestamptz")
_NUMBERS = {"int", "bigint", "float", "numeric"}
_ORDERED = _NUMBERS | {"timestamptz", "date", "time", "interval"}


class Builder:
    """Collections from their inputs. Errors are collected, so that one start tells them all."""

    def __init__(self, inputs: Mapping[str, CollectionInput], fail: Fail) -> None:
        self._inputs = inputs
        self._fail = fail
        self.errors: list[ConfigError] = []

    def build(self) -> dict[str, Collection]:
        """Every collection that could be built; look at ``errors`` before using them."""
        made: dict[str, Collection] = {}
        for name in self._inputs:
            try:
                made[name] = self._collection(name)
            except ConfigError as error:
                self.errors.append(error)
        for name, given in self._inputs.items():
            for relation, asked in given.relations.items():
                try:
                    self._relation(made, name, relation, asked)
                except ConfigError as error:
                    self.errors.append(error)
        return made

    # --- one collection ----------------------------------------------------------------------------------------------

    def _collection(self, name: str) -> Collection:
        given, path = self._inputs[name], ("collections", name)
        self._check_name(name, path)
        for field_name in given.fields:
            self._check_name(field_name, (*path, "fields", field_name), column=True)
        fields = [self._field(name, field_name) for field_name in given.fields]
        key = tuple(field_name for field_name, field in given.fields.items() if field.key)
        if not key:
            if "id" in given.fields:
                hint = "write key = true, or leave `id` out"
                raise self._fail((*path, "fields", "id"), "`id` is the key that comes by itself", hint=hint)
            key, fields = ("id",), [_ID, *fields]
        fields += self._system_fields(given)
        indexes = [self._index(name, number, index, fields) for number, index in enumerate(given.indexes)]
        indexes += _reference_indexes(name, key, fields, indexes)
        return Collection(
            name=name,
            fields=tuple(fields),
            key=key,
            rules=Rules(**{operation: getattr(given.rules, operation) for operation in Rules.__struct_fields__}),
            indexes=tuple(indexes),
            checks=tuple(Check(f"{name}_{check}_check", text) for check, text in given.checks.items()),
            realtime=given.realtime,
            sync=given.sync,
            audit=given.audit,
            renamed_from=given.renamed_from,
            description=given.description,
        )

    def _system_fields(self, given: CollectionInput) -> list[Field]:
        wanted: list[Field] = []
        if given.timestamps:
            wanted += [
                Field(name=name, type=_STAMP, required=True, default="now()", managed=True)
                for name in ("created_at", "updated_at")
            ]
        if given.sync:
            wanted.append(
                Field(name="_modified", type=_STAMP, required=True, default="clock_timestamp()", managed=True)
            )
            wanted.append(Field(name="_deleted", type=parse_type("bool"), required=True, default="false"))
        return [field for field in wanted if field.name not in given.fields]

    def _field(self, collection: str, name: str) -> Field:
        given, path = self._inputs[collection].fields[name], ("collections", collection, "fields", name)

        def fail(message: str, hint: str | None = None) -> NoReturn:
            raise self._fail(path, message, hint=hint)

        kind = self._type(collection, name, ())
        if given.generated is not None and (given.default is not None or given.identity):
            fail("a generated field has no default", "keep one of the two")
        if given.identity and (kind.name not in {"int", "bigint"} or kind.array):
            fail("identity counts, so it needs type int or bigint")
        if kind.name == "enum" and not given.values:
            fail("an enum needs its values", 'values = ["draft", "ready"]')
        if given.values and kind.name != "enum":
            fail("values belong to type enum", 'type = "enum"')
        if (given.min_length is not None or given.max_length is not None) and not (kind.is_text or kind.array):
            fail(f"a length limit does not fit type {kind.name}", "use min and max for numbers and times")
        if given.pattern is not None and not kind.is_text:
            fail(f"a pattern does not fit type {kind.name}")
        if (given.min is not None or given.max is not None) and (kind.name not in _ORDERED or kind.array):
            fail(f"min and max do not fit type {kind.name}", "use min_length and max_length for text")
        if given.on_delete != "no action" and given.references is None:
            fail("on_delete belongs to a reference")
        try:
            default = None if given.default is None else default_sql(given.default, kind)
            minimum = None if given.min is None else literal_sql(given.min, kind)
            maximum = None if given.max is None else literal_sql(given.max, kind)
        except ValueError as error:
            fail(str(error))
        return Field(
            name=name,
            type=kind,
            required=given.required or given.key,
            unique=given.unique,
            default=default,
            identity=given.identity,
            generated=given.generated,
            minimum=minimum,
            maximum=maximum,
            min_length=given.min_length,
            max_length=given.max_length,
            pattern=given.pattern,
            values=given.values,
            references=self._reference(collection, name, given),
            hidden=given.hidden,
            read=given.read,
            write=given.write,
            managed=given.generated is not None,
            renamed_from=given.renamed_from,
            description=given.description,
        )

    def _type(self, collection: str, name: str, seen: tuple[tuple[str, str], ...]) -> FieldType:
        """The field's own type, or that of what it references."""
        given, path = self._inputs[collection].fields[name], ("collections", collection, "fields", name)
        if given.type is not None:
            try:
                return parse_type(given.type)
            except ConfigError as error:
                raise self._fail(path, error.message, hint=error.hint) from error
        if given.references is None:
            raise self._fail(path, "needs a type", hint='type = "text", or references = "..."')
        table, column = self._target(collection, name, given)
        if (collection, name) in seen:
            raise self._fail(path, "this reference leads back to itself", hint="give one of the fields a type")
        if table == USERS or column not in self._inputs[table].fields:
            return _ID.type
        return self._type(table, column, (*seen, (collection, name)))

    def _reference(self, collection: str, name: str, given: FieldInput) -> Reference | None:
        if given.references is None:
            return None
        table, column = self._target(collection, name, given)
        return Reference(table=table, columns=(column,), on_delete=given.on_delete)

    def _target(self, collection: str, name: str, given: FieldInput) -> tuple[str, str]:
        """The collection and the unique column that a field references."""
        path = ("collections", collection, "fields", name)
        text = given.references or ""
        if text in {USERS, f"{USERS}.id"}:
            return USERS, "id"
        table, _, column = text.partition(".")
        if table not in self._inputs:
            raise self._fail(path, f"references {table!r}, which is no collection", hint=_nearest(table, self._inputs))
        fields = self._inputs[table].fields
        key = [field_name for field_name, field in fields.items() if field.key] or ["id"]
        if not column:
            if len(key) > 1:
                raise self._fail(
                    path, f"{table} has a key of several fields", hint=f'references = "{table}.<unique field>"'
                )
            return table, key[0]
        if column not in fields and column not in key:
            raise self._fail(path, f"{table} has no field {column!r}", hint=_nearest(column, fields))
        if [column] != key and not fields[column].unique:
            raise self._fail(path, f"{table}.{column} is not unique", hint="references need a unique field")
        return table, column

    def _index(self, collection: str, number: int, given: IndexInput, fields: list[Field]) -> Index:
        path = ("collections", collection, "indexes", str(number))
        names = [name.removeprefix("-") for name in given.fields]
        known = {field.name for field in fields}
        for name in names:
            if name not in known:
                raise self._fail(path, f"{collection} has no field {name!r}", hint=_nearest(name, known))
        if not names:
            raise self._fail(path, "an index needs fields")
        if given.method not in _METHODS:
            raise self._fail(
                path, f"there is no index method {given.method!r}", hint="one of " + ", ".join(sorted(_METHODS))
            )
        return Index(
            name=given.name or _short(f"{collection}_{'_'.join(names)}_{'key' if given.unique else 'idx'}"),
            fields=tuple(IndexField(name.removeprefix("-"), name.startswith("-")) for name in given.fields),
            unique=given.unique,
            method=given.method,
            where=given.where,
        )

    # --- many to many ------------------------------------------------------------------------------------------------

    def _relation(self, made: dict[str, Collection], name: str, relation: str, asked: RelationInput) -> None:
        path = ("collections", name, "relations", relation)
        if asked.to not in self._inputs:
            raise self._fail(path, f"to {asked.to!r}, which is no collection", hint=_nearest(asked.to, self._inputs))
        if asked.through is not None:
            if asked.through not in self._inputs:
                hint = _nearest(asked.through, self._inputs)
                raise self._fail(path, f"through {asked.through!r}, which is no collection", hint=hint)
            junction = made.get(asked.through)
            found = {key.reference.table for key in junction.foreign_keys} if junction else {name, asked.to}
            if not {name, asked.to} <= found:
                hint = "it needs a field that references each"
                raise self._fail(path, f"{asked.through} does not reference both {name} and {asked.to}", hint=hint)
            return
        if name not in made or asked.to not in made:
            return  # their own errors are told already
        table = f"{name}_{relation}"
        if table in made:
            raise self._fail(path, f"{table} exists already", hint=f'through = "{table}"')
        made[table] = self._junction(table, made[name], made[asked.to], asked, path)

    def _junction(
        self, table: str, left: Collection, right: Collection, asked: RelationInput, path: KeyPath
    ) -> Collection:
        fields = []
        for side, suffix in ((left, ""), (right, "" if left.name != right.name else "_to")):
            column = side.field(side.key[0])
            if len(side.key) > 1 or column is None:
                raise self._fail(path, f"{side.name} has a key of several fields", hint="declare the junction yourself")
            reference = Reference(table=side.name, columns=side.key, on_delete="cascade")
            name = f"{side.name}{suffix}_{side.key[0]}"
            fields.append(Field(name=name, type=column.type, required=True, references=reference))
        key = tuple(field.name for field in fields)
        rules = Rules(**{operation: getattr(asked.rules, operation) for operation in Rules.__struct_fields__})
        return Collection(
            name=table,
            fields=tuple(fields),
            key=key,
            rules=rules,
            indexes=tuple(_reference_indexes(table, key, fields, [])),
        )

    def _check_name(self, name: str, path: KeyPath, *, column: bool = False) -> None:
        if not _NAME.match(name):
            hint = "small letters, digits and _, at most 63, not beginning with a digit"
            raise self._fail(path, f"{name!r} cannot be a name", hint=hint)
        if column and name in _RESERVED:
            raise self._fail(path, f"{name!r} is a word of the query string", hint="choose another name")
        if not column and name == "rpc":
            raise self._fail(path, "`rpc` is where functions are", hint="choose another name")


def _reference_indexes(collection: str, key: tuple[str, ...], fields: list[Field], indexes: list[Index]) -> list[Index]:
    """An index for each reference that none leads with: embedding and cascading look rows up by it."""
    led = {key[0], *(index.fields[0].name for index in indexes if index.where is None)}
    led |= {field.name for field in fields if field.unique}
    return [
        Index(name=_short(f"{collection}_{field.name}_idx"), fields=(IndexField(field.name),))
        for field in fields
        if field.references is not None and field.name not in led
    ]


def _short(name: str) -> str:
    """At most 63 bytes, as PostgreSQL would cut it."""
    return name if len(name) <= 63 else f"{name[:59]}{name[-4:]}"


def _nearest(name: str, known: Any) -> str | None:
    found = get_close_matches(name, list(known), n=1)
    return f"did you mean {found[0]!r}?" if found else None
