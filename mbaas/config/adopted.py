"""``adopted.toml``: what a database holds that is not ours, in the words of the configuration, which includes it."""

from __future__ import annotations

from collections.abc import Collection as Names
from typing import Any

import msgspec
import tomlkit
from tomlkit.items import InlineTable
from tomlkit.items import Table as TomlTable

from mbaas.core.schema.table import Table

NAME = "adopted.toml"
_HEAD = (
    "Written by `mbaas adopt`, which also brings it up to date. What stands here is served as it is: mbaas makes,",
    "changes and drops none of it, and the grants and policies of the database decide who may do what.",
)


class FoundTable(msgspec.Struct, frozen=True, kw_only=True):
    """callers: roles of the API that have some right to it. policies: in a line each."""

    table: Table
    row_security: bool
    callers: tuple[str, ...]
    policies: tuple[str, ...] = ()


class FoundView(msgspec.Struct, frozen=True, kw_only=True):
    """served: it reads its tables in the rights of whoever asks. columns: names and types."""

    name: str
    callers: tuple[str, ...]
    served: bool
    columns: tuple[tuple[str, str], ...]


class FoundFunction(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    callers: tuple[str, ...]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    tables: tuple[FoundTable, ...] = ()
    views: tuple[FoundView, ...] = ()
    functions: tuple[FoundFunction, ...] = ()


class LeftOut(msgspec.Struct, frozen=True):
    """kind: table, view, function. why, and what to do to have it served."""

    kind: str
    name: str
    why: str
    hint: str


class Adoption(msgspec.Struct, frozen=True, kw_only=True):
    """What is adopted of what was found."""

    tables: tuple[FoundTable, ...]
    views: tuple[FoundView, ...]
    functions: tuple[FoundFunction, ...]
    left_out: tuple[LeftOut, ...]


def choose(found: Found, *, declared: Names[str], functions: Names[str]) -> Adoption:
    """All but what would be open to more than it says. declared, functions: what the configuration has itself."""
    tables, views, called, left = [], [], [], []
    for table in found.tables:
        name = table.table.name
        if name in declared:
            continue
        if not table.callers:
            left.append(
                LeftOut("table", name, "no role of the API has a right to it", f"grant select on {name} to ...")
            )
        elif not table.row_security:
            hint = f"alter table {name} enable row level security; a policy `using (true)` says that all may"
            left.append(LeftOut("table", name, "has no row level security: whoever has the public key may", hint))
        else:
            tables.append(table)
    for view in found.views:
        if view.name in declared:
            continue
        if not view.served:
            hint = f"alter view {view.name} set (security_invoker = true)"
            left.append(LeftOut("view", view.name, "shows what its owner may see, whoever asks", hint))
        elif not view.callers:
            left.append(
                LeftOut("view", view.name, "no role of the API has a right to it", f"grant select on {view.name}")
            )
        else:
            views.append(view)
    for function in found.functions:
        if function.name in functions:
            continue
        if function.callers:
            called.append(function)
        else:
            hint = f"grant execute on function {function.name}(...) to ..."
            left.append(LeftOut("function", function.name, "no role of the API may call it", hint))
    return Adoption(tables=tuple(tables), views=tuple(views), functions=tuple(called), left_out=tuple(left))


def adopted_text(adoption: Adoption) -> str:
    """The file. The same database gives the same text."""
    document = tomlkit.document()
    for line in _HEAD:
        document.add(tomlkit.comment(line))
    collections = tomlkit.table(is_super_table=True)
    for table in adoption.tables:
        collections.append(tomlkit.key(table.table.name), _table(table))
    for view in adoption.views:
        made = tomlkit.table()
        made.add("adopted", True)
        made.add("view", True)
        fields = tomlkit.table()
        for name, kind in view.columns:
            fields.append(tomlkit.key(name), _inline({"type": kind}))
        made.append("fields", fields)
        collections.append(tomlkit.key(view.name), made)
    functions = tomlkit.table(is_super_table=True)
    for function in adoption.functions:
        made = tomlkit.table()
        made.add("adopted", True)
        functions.append(tomlkit.key(function.name), made)
    if adoption.tables or adoption.views:
        document.append("collections", collections)
    if adoption.functions:
        document.append("functions", functions)
    return tomlkit.dumps(document)


def _table(found: FoundTable) -> TomlTable:
    table = found.table
    made = tomlkit.table()
    for policy in found.policies:
        made.add(tomlkit.comment("policy " + " ".join(policy.split())))
    made.add("adopted", True)
    key = () if table.primary is None else table.primary.columns
    single = {unique.columns[0] for unique in table.uniques if len(unique.columns) == 1}
    fields = tomlkit.table()
    for column in table.columns:
        told = {
            "type": column.type,
            "key": column.name in key,
            "required": column.not_null and column.name not in key,
            "unique": column.name in single,
            "identity": column.identity,
            "default": None if column.default is None else {"sql": column.default},
            "generated": column.generated,
        }
        fields.append(tomlkit.key(column.name), _inline({name: item for name, item in told.items() if item}))
    made.append("fields", fields)
    if table.foreigns:
        keys = tomlkit.table()
        for foreign in table.foreigns:
            told = {"fields": foreign.columns, "references": foreign.table, "target": foreign.target}
            keys.append(tomlkit.key(foreign.name), _inline(told))
        made.append("foreign_keys", keys)
    indexes: list[dict[str, Any]] = [
        {"name": unique.name, "fields": list(unique.columns), "unique": True}
        for unique in table.uniques
        if len(unique.columns) > 1
    ]
    for index in table.indexes:
        if index.valid and index.fields and index.plain:
            names = ["-" * column.descending + column.name for column in index.fields]
            told = {"name": index.name, "fields": names, "unique": index.unique, "where": index.where}
            told |= {} if index.method == "btree" else {"method": index.method}
            indexes.append({name: item for name, item in told.items() if item})
    if indexes:
        made.append("indexes", _tables(indexes))
    return made


def _tables(items: list[dict[str, Any]]) -> Any:
    made = tomlkit.aot()
    for item in items:
        table = tomlkit.table()
        for name, value in item.items():
            table.add(name, value)
        made.append(table)
    return made


def _inline(items: dict[str, Any]) -> InlineTable:
    made = tomlkit.inline_table()
    for name, value in items.items():
        made.append(
            name, list(value) if isinstance(value, tuple) else _inline(value) if isinstance(value, dict) else value
        )
    return made


def with_include(text: str) -> str | None:
    """``mbaas.toml`` that includes the file as well; ``None`` when it does already."""
    document = tomlkit.parse(text)
    included = document.get("include")
    if included is None:
        return f'include = ["{NAME}"]\n\n{text}'
    if NAME in included:
        return None
    included.append(NAME)
    return tomlkit.dumps(document)
