"""Rows in the form of the answer: what PostgreSQL gave as arrays becomes edges, nodes and cursors under their names.

A shape is made with the plan whose rows it is for. Each part takes a row, a dict by the plan's own keys.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from mbaas.modules.records.graphql.cursors import Term, write_cursor

Row: TypeAlias = dict[str, Any]
Part: TypeAlias = Callable[[Row], Any]
COUNTED = "n"


class NodeShape(msgspec.Struct, frozen=True):
    """A record: under each response key what a part makes of its row."""

    parts: dict[str, Part]

    def of(self, row: Row) -> Row:
        return {key: part(row) for key, part in self.parts.items()}


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one list, as asked for, and where they stand. total: ``None`` when not asked for."""

    rows: list[Row]
    cursors: Cursors
    has_next: bool
    has_previous: bool
    total: int | None


class Cursors(msgspec.Struct, frozen=True):
    """terms: the order. keys: where a row has the values it was ordered by."""

    terms: tuple[Term, ...]
    keys: tuple[str, ...]

    def of(self, row: Row) -> str:
        return write_cursor(self.terms, tuple(row[key] for key in self.keys))


class ListShape(msgspec.Struct, frozen=True, kw_only=True):
    """A connection. size: rows asked for; one more was read, to see whether there is more. behind: rows were passed."""

    parts: dict[str, Callable[[Page], Any]]
    cursors: Cursors
    size: int
    backward: bool
    behind: bool

    def of(self, rows: list[Row], total: int | None) -> Row:
        more = len(rows) > self.size
        shown = rows[: self.size]
        if self.backward:
            shown.reverse()
        page = Page(
            rows=shown,
            cursors=self.cursors,
            has_next=self.behind if self.backward else more,
            has_previous=more if self.backward else self.behind,
            total=total,
        )
        return {key: part(page) for key, part in self.parts.items()}


def constant(value: str) -> Callable[[Any], str]:
    return lambda _: value


def value_at(key: str) -> Part:
    return lambda row: row[key]


def record_at(key: str, shape: NodeShape) -> Part:
    """A related record, ``None`` when there is none."""

    def part(row: Row) -> Row | None:
        found = row[key]
        return None if found is None else shape.of(found)

    return part


def list_at(rows_key: str | None, total_key: str | None, shape: ListShape) -> Part:
    """Related records. A key of ``None``: those were not asked for."""

    def part(row: Row) -> Row:
        total = None if total_key is None else row[total_key][0][COUNTED]
        return shape.of([] if rows_key is None else row[rows_key], total)

    return part


def node_id_at(collection: str, keys: tuple[str, ...]) -> Part:
    """keys: where a row has its key, as text."""
    return lambda row: write_node_id(collection, tuple(row[key] for key in keys))


def write_node_id(collection: str, key: tuple[str | None, ...]) -> str:
    return base64.b64encode(msgspec.json.encode(["public", collection, *key])).decode()


# --- parts of a connection -------------------------------------------------------------------------------------------


def edges(parts: dict[str, Callable[[Page, Row], Any]]) -> Callable[[Page], list[Row]]:
    return lambda page: [{key: part(page, row) for key, part in parts.items()} for row in page.rows]


def edge_node(shape: NodeShape) -> Callable[[Page, Row], Row]:
    return lambda _, row: shape.of(row)


def edge_cursor(page: Page, row: Row) -> str:
    return page.cursors.of(row)


def edge_constant(value: str) -> Callable[[Page, Row], str]:
    return lambda _page, _row: value


def total(page: Page) -> int | None:
    return page.total


def page_info(parts: dict[str, Callable[[Page], Any]]) -> Callable[[Page], Row]:
    return lambda page: {key: part(page) for key, part in parts.items()}


PAGE_INFO: dict[str, Callable[[Page], Any]] = {
    "hasNextPage": lambda page: page.has_next,
    "hasPreviousPage": lambda page: page.has_previous,
    "startCursor": lambda page: page.cursors.of(page.rows[0]) if page.rows else None,
    "endCursor": lambda page: page.cursors.of(page.rows[-1]) if page.rows else None,
}
