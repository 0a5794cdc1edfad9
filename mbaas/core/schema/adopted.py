"""Adopted collections meet the tables that are there."""

from __future__ import annotations

from collections.abc import Mapping

from mbaas.core.errors import MigrationError
from mbaas.core.schema.catalog import Collection
from mbaas.core.schema.table import Table

HINT = "`mbaas adopt` describes the database anew"


def check_adopted(adopted: Mapping[str, Collection], tables: Mapping[str, Table]) -> None:
    """Raises MigrationError for a table or column that is gone or of another type. Columns that came are no fault."""
    for name, collection in adopted.items():
        if collection.view:
            continue
        table = tables.get(name)
        if table is None:
            raise MigrationError(f"collections.{name} is adopted, and there is no such table", hint=HINT)
        for field in collection.fields:
            column = table.column(field.name)
            if column is None:
                raise MigrationError(f"collections.{name}.fields.{field.name}: the table has no such column", hint=HINT)
            if column.type != field.type.sql:
                told = f"collections.{name}.fields.{field.name}: the column is {column.type}, not {field.type.sql}"
                raise MigrationError(told, hint=HINT)
