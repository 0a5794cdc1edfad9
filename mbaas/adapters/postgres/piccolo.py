"""Piccolo builds statements over the tables we ship; the one door to PostgreSQL runs them.

Piccolo's own engine would be a second pool with its own rules of waiting, reconnecting and raising, bound to table
classes for the whole process. Compiling a statement needs none of it (docs/adr/0040).
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from piccolo.engine.postgres import PostgresEngine
from piccolo.query.base import Query

from mbaas.core.sql.fragment import Bindable, Statement


class Dialect(PostgresEngine):
    """Tells Piccolo which SQL to write. It is not connected to anything and holds no state."""

    def __init__(self) -> None:
        self.engine_type = "postgres"


POSTGRES = Dialect()


def compiled(query: Query[Any, Any]) -> Statement:
    """The one statement of a Piccolo query, its values as text.

    Raises TypeError for a value that has no text form here, ValueError for a query of several statements.
    """
    (querystring,) = query.querystrings
    text, args = querystring.compile_string()
    return Statement(text, tuple(map(_text, args)))


def _text(value: Any) -> Bindable:
    """One Python value in PostgreSQL's text form."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, list):
        return tuple(None if item is None else str(_text(item)) for item in value)
    raise TypeError(f"no text form for {type(value).__name__}")
