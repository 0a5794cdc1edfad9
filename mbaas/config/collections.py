"""``[collections.*]`` as a Catalog: what its author left out filled in, every name looked up."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

from mbaas.config.inputs import CollectionInput, FieldInput, IndexInput, RelationInput, RulesInput
from mbaas.config.limits import faults
from mbaas.config.literals import EXAMPLES, bound_text, default_sql
from mbaas.config.places import KeyPath
from mbaas.config.search import search_of
from mbaas.config.shape import nearest
from mbaas.core.errors import ConfigError
from mbaas.core.schema.catalog import METRICS, Check, Collection, Field, ForeignKey, Index, IndexField, Reference, Rules
from mbaas.core.schema.naming import object_name
from mbaas.core.schema.types import FieldType, parse_type, type_of

Fail: TypeAlias = Callable[..., ConfigError]
"""``fail(key path, message, hint=...)``: the error with file and line."""

USERS = "auth.users"
NAME_HINT = "small letters, digits and _, at most 63, not beginning with a digit"
_NAME = re.compile(r"^[a-z_][a-z0-9_]{0,62}\Z")
_SYSTEM = {"ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"}
# Words of the query string: a column of such a name could not be filtered.
RESERVED = {"select", "columns", "on_conflict", "order", "limit", "offset", "and", "or", "not", "cursor", "search"}
_METHODS = {"btree", "hash", "gin", "gist", "spgist", "brin", "hnsw"}
_MOST_INDEXED = 2000  # dimensions that an index of pgvector takes
_ID = Field(name="id", type=parse_type("uuid"), required=True, default="mbaas.uuidv7()")
_STAMP = parse_type("timestamptz")


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
        if given.adopted:
            return self._adopted(name)
        self._check_name(name, path)
        for field_name in given.fields:
            self._check_name(field_name, (*path, "fields", field_name), column=True)
        for check, expression in given.checks.items():
            self._check_name(check, (*path, "checks", check))
            if not expression.strip():
                hint = f'{check} = "starts < ends"'
                raise self._fail((*path, "checks", check), "needs an expression", hint=hint)
        if given.view:
            self._check_view(given, path)
        fields = [self._field(name, field_name) for field_name in given.fields]
        key = tuple(field_name for field_name, field in given.fields.items() if field.key)
        if not key and not given.view:
            if "id" in given.fields:
                hint = "write key = true, or leave `id` out"
                raise self._fail((*path, "fields", "id"), "`id` is the key that comes by itself", hint=hint)
            key, fields = ("id",), [_ID, *fields]
        fields += self._system_fields(given)
        search = None
        if given.search is not None:
            search, held = search_of(name, given.search, fields, self._fail)
            fields.append(held)
        indexes = [self._index(name, number, index, fields) for number, index in enumerate(given.indexes)]
        if not given.view:
            indexes += _reference_indexes(name, key, fields, indexes)
            indexes += _measured_indexes(name, fields, indexes)
        return Collection(
            name=name,
            fields=tuple(fields),
            key=key,
            rules=Rules(**{operation: getattr(given.rules, operation) for operation in Rules.__struct_fields__}),
            indexes=tuple(indexes),
            checks=tuple(Check(object_name(name, check, "check"), text) for check, text in given.checks.items()),
            realtime=given.realtime,
            sync=given.sync,
            audit=given.audit,
            renamed_from=given.renamed_from,
            description=given.description,
            view=given.view,
            search=search,
        )

    def _adopted(self, name: str) -> Collection:
        """As the database has it, in PostgreSQL's own words; nothing of it is for us to check or to make."""
        given, path = self._inputs[name], ("collections", name)
        for word in ("checks", "relations", "realtime", "sync", "audit", "renamed_from"):
            if getattr(given, word):
                raise self._fail((*path, word), "the table is somebody else's", hint=f"take {word} out")
        if given.rules != RulesInput():
            raise self._fail((*path, "rules"), "its own policies decide", hint="create policy ... in the database")
        names = [*given.fields]
        for constraint, key in given.foreign_keys.items():
            where = (*path, "foreign_keys", constraint)
            for field in key.fields:
                if field not in names:
                    raise self._fail(where, f"{name} has no field {field!r}", hint=nearest(field, names))
            if len(key.fields) != len(key.target):
                raise self._fail(where, "has not as many fields as it references", hint="name them in pairs")
        return Collection(
            name=name,
            fields=tuple(self._adopted_field(name, field) for field in given.fields),
            key=tuple(field for field, told in given.fields.items() if told.key),
            indexes=tuple(self._adopted_index(index) for index in given.indexes),
            description=given.description,
            view=given.view,
            adopted=True,
            foreigns=tuple(
                ForeignKey(
                    name=constraint, columns=key.fields, reference=Reference(table=key.references, columns=key.target)
                )
                for constraint, key in given.foreign_keys.items()
            ),
        )

    def _adopted_field(self, collection: str, name: str) -> Field:
        given, path = self._inputs[collection].fields[name], ("collections", collection, "fields", name)
        if given.type is None:
            raise self._fail(path, "needs a type", hint='as PostgreSQL spells it: type = "bigint"')
        default = given.default
        if default is not None and not (isinstance(default, dict) and isinstance(default.get("sql"), str)):
            raise self._fail((*path, "default"), "is an expression here", hint='default = { sql = "..." }')
        return Field(
            name=name,
            type=type_of(given.type),
            required=given.required,
            unique=given.unique,
            default=None if default is None else default["sql"],
            identity=given.identity,
            generated=given.generated,
            description=given.description,
        )

    def _adopted_index(self, given: IndexInput) -> Index:
        return Index(
            name=given.name or "",
            fields=tuple(IndexField(field.removeprefix("-"), field.startswith("-")) for field in given.fields),
            unique=given.unique,
            method=given.method,
            where=given.where,
        )

    def _check_view(self, given: CollectionInput, path: KeyPath) -> None:
        """A view is read: what is about storing or changing rows has no place in it."""
        for word in ("indexes", "checks", "relations", "search", "realtime", "sync", "audit", "renamed_from"):
            if getattr(given, word):
                raise self._fail((*path, word), "a view is only read", hint=f"take {word} out, or view = true")
        for operation in ("insert", "update", "delete"):
            if getattr(given.rules, operation) is not None:
                raise self._fail((*path, "rules", operation), "a view is only read", hint="it has a select rule alone")

    def _system_fields(self, given: CollectionInput) -> list[Field]:
        wanted: list[Field] = []
        if given.timestamps and not given.view:
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

        def fail(key: str, message: str, hint: str | None) -> NoReturn:
            raise self._fail((*path, key), message, hint=hint)

        kind = self._type(collection, name, ())
        for key, message, hint in faults(given, kind):
            fail(key, message, hint)
        if given.generated is not None and (given.default is not None or given.identity):
            fail("generated", "a generated field has no default", "keep one of the two")
        if given.identity and given.default is not None:
            fail("identity", "a field that counts has no default", "keep one of the two")
        if given.identity and (kind.name not in {"int", "bigint"} or kind.array):
            fail("identity", "counts, so it needs whole numbers", 'type = "bigint"')
        if given.references is None and given.on_delete != "no action":
            fail("on_delete", "belongs to a reference", 'references = "..."')
        if given.on_delete == "set null" and (given.required or given.key):
            fail("on_delete", "a required field cannot become null", 'on_delete = "cascade", or required = false')
        if given.on_delete == "set default" and given.default is None:
            fail("on_delete", "there is no default to set", "default = ...")
        default = self._sql(default_sql, (*path, "default"), given.default, kind)
        minimum = self._sql(bound_text, (*path, "min"), given.min, kind)
        maximum = self._sql(bound_text, (*path, "max"), given.max, kind)
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
            metric=given.metric or "cosine",
            renamed_from=given.renamed_from,
            description=given.description,
        )

    def _sql(self, render: Callable[[Any, FieldType], str], path: KeyPath, value: Any, kind: FieldType) -> str | None:
        try:
            return None if value is None else render(value, kind)
        except ValueError as error:
            raise self._fail(path, str(error), hint=EXAMPLES.get(kind.name if not kind.array else "[]")) from error

    def _type(self, collection: str, name: str, seen: tuple[tuple[str, str], ...]) -> FieldType:
        """The field's own type, or that of what it references."""
        given, path = self._inputs[collection].fields[name], ("collections", collection, "fields", name)
        if given.type is not None:
            try:
                own = parse_type(given.type)
            except ConfigError as error:
                raise self._fail((*path, "type"), error.message, hint=error.hint) from error
            if given.references is not None and not seen:
                referenced = self._referenced(collection, name, given, ((collection, name),))
                if referenced.sql != own.sql:
                    message = f"{given.type} does not fit what the field references"
                    raise self._fail((*path, "type"), message, hint="leave the type out: a reference has its own")
            return own
        if given.references is None:
            raise self._fail(path, "needs a type", hint='type = "text", or references = "..."')
        if (collection, name) in seen:
            raise self._fail(path, "this reference leads back to itself", hint="give one of the fields a type")
        return self._referenced(collection, name, given, (*seen, (collection, name)))

    def _referenced(
        self, collection: str, name: str, given: FieldInput, seen: tuple[tuple[str, str], ...]
    ) -> FieldType:
        """The type of the field that this one references, without the forms that text may have there."""
        table, column = self._target(collection, name, given)
        if table == USERS or column not in self._inputs[table].fields:
            return _ID.type
        if self._inputs[table].adopted:
            kind = type_of(self._inputs[table].fields[column].type or "text")
            return parse_type("text") if kind.sql.startswith("character varying") else kind
        kind = self._type(table, column, seen)
        return parse_type("text") if kind.is_text else kind

    def _reference(self, collection: str, name: str, given: FieldInput) -> Reference | None:
        if given.references is None:
            return None
        table, column = self._target(collection, name, given)
        return Reference(table=table, columns=(column,), on_delete=given.on_delete)

    def _target(self, collection: str, name: str, given: FieldInput) -> tuple[str, str]:
        """The collection and the unique column that a field references."""
        path = ("collections", collection, "fields", name, "references")
        text = given.references or ""
        if text in {USERS, f"{USERS}.id"}:
            return USERS, "id"
        table, _, column = text.partition(".")
        if table not in self._inputs:
            raise self._fail(path, f"{table!r} is no collection", hint=nearest(table, [*self._inputs, USERS]))
        if self._inputs[table].view:
            raise self._fail(path, f"{table} is a view", hint="a foreign key needs a table")
        fields = self._inputs[table].fields
        key = [field_name for field_name, field in fields.items() if field.key] or ["id"]
        if not column:
            if len(key) > 1:
                raise self._fail(
                    path, f"{table} has a key of several fields", hint=f'references = "{table}.<unique field>"'
                )
            return table, key[0]
        if column not in fields and column not in key:
            raise self._fail(path, f"{table} has no field {column!r}", hint=nearest(column, fields))
        if [column] != key and not fields[column].unique:
            raise self._fail(path, f"{table}.{column} is not unique", hint="references need a unique field")
        return table, column

    def _index(self, collection: str, number: int, given: IndexInput, fields: list[Field]) -> Index:
        path = ("collections", collection, "indexes", str(number))
        names = [name.removeprefix("-") for name in given.fields]
        known = [field.name for field in fields]
        for name in names:
            if name not in known:
                raise self._fail(path, f"{collection} has no field {name!r}", hint=nearest(name, known))
        if not names:
            raise self._fail((*path, "fields"), "an index needs fields", hint='fields = ["...", "-..."]')
        if given.method not in _METHODS:
            raise self._fail(
                (*path, "method"),
                f"there is no index method {given.method!r}",
                hint="one of " + ", ".join(sorted(_METHODS)),
            )
        return Index(
            name=given.name or object_name(collection, "_".join(names), "key" if given.unique else "idx"),
            fields=tuple(
                IndexField(
                    name.removeprefix("-"),
                    name.startswith("-"),
                    METRICS[field.metric].operators if field.type.name == "vector" and given.method == "hnsw" else None,
                )
                for name in given.fields
                for field in fields
                if field.name == name.removeprefix("-")
            ),
            unique=given.unique,
            method=given.method,
            where=given.where,
        )

    # --- many to many ------------------------------------------------------------------------------------------------

    def _relation(self, made: dict[str, Collection], name: str, relation: str, asked: RelationInput) -> None:
        path = ("collections", name, "relations", relation)
        if asked.to not in self._inputs:
            raise self._fail((*path, "to"), f"{asked.to!r} is no collection", hint=nearest(asked.to, self._inputs))
        if asked.through is not None:
            if asked.through not in self._inputs:
                hint = nearest(asked.through, self._inputs)
                raise self._fail((*path, "through"), f"{asked.through!r} is no collection", hint=hint)
            junction = made.get(asked.through)
            if asked.rules != RulesInput():
                hint = f"[collections.{asked.through}.rules]"
                raise self._fail((*path, "rules"), f"the rules of {asked.through} stand there", hint=hint)
            found = [key.reference.table for key in junction.foreign_keys] if junction else [name, asked.to]
            if name not in found or asked.to not in found or (name == asked.to and found.count(name) < 2):
                hint = "it needs a field that references each"
                raise self._fail(
                    (*path, "through"), f"{asked.through} does not reference both {name} and {asked.to}", hint=hint
                )
            return
        if name not in made or asked.to not in made:
            return  # their own errors are told already
        table = f"{name}_{relation}"
        if table in made:
            raise self._fail(path, f"{table} exists already", hint=f'through = "{table}"')
        self._check_name(table, path)
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
        if not is_name(name):
            raise self._fail(path, f"{name!r} cannot be a name", hint=NAME_HINT)
        if column and name in RESERVED:
            raise self._fail(path, f"{name!r} is a word of the query string", hint="choose another name")
        if column and name in _SYSTEM:
            raise self._fail(path, f"PostgreSQL keeps {name!r} for itself", hint="choose another name")
        if not column and name == "rpc":
            raise self._fail(path, "`rpc` is where functions are", hint="choose another name")


def is_name(name: str) -> bool:
    """Whether it can name a collection, field or function without quotes anywhere."""
    return _NAME.match(name) is not None


def _reference_indexes(collection: str, key: tuple[str, ...], fields: list[Field], indexes: list[Index]) -> list[Index]:
    """An index for each reference that none leads with: embedding and cascading look rows up by it."""
    led = {key[0], *(index.fields[0].name for index in indexes if index.where is None)}
    led |= {field.name for field in fields if field.unique}
    return [
        Index(name=object_name(collection, field.name, "idx"), fields=(IndexField(field.name),))
        for field in fields
        if field.references is not None and field.name not in led
    ]


def _measured_indexes(collection: str, fields: list[Field], indexes: list[Index]) -> list[Index]:
    """An index for each point and vector that none leads with: what they are for is to be found by distance.

    Vectors beyond what an index takes have none, and every row is measured.
    """
    led = {index.fields[0].name for index in indexes if index.where is None}
    found = []
    for field in fields:
        if field.name in led or field.type.array:
            continue
        name = object_name(collection, field.name, "idx")
        if field.type.name == "point":
            found.append(Index(name=name, fields=(IndexField(field.name),), method="gist"))
        elif field.type.name == "vector" and (field.type.precision or 0) <= _MOST_INDEXED:
            by = IndexField(field.name, operators=METRICS[field.metric].operators)
            found.append(Index(name=name, fields=(by,), method="hnsw"))
        elif field.type.name == "tsvector" and field.managed and field.hidden:
            found.append(Index(name=name, fields=(IndexField(field.name),), method="gin"))
    return found
