"""Pages that begin behind a row: an order in which no two rows are equal, and the place of one row in it."""

from __future__ import annotations

import msgspec

from mbaas.core.expr.types import Column
from mbaas.core.plan.conditions import Owner
from mbaas.core.plan.types import Keyset, Order, ReadPlan
from mbaas.core.query.cursor import digest_of, parse_cursor
from mbaas.core.query.errors import CursorInvalid, Misplaced
from mbaas.core.schema.catalog import Collection


def with_keyset(plan: ReadPlan, collection: Collection, owner: Owner, text: str) -> ReadPlan:
    """The plan of the page behind the cursor.

    Raises CursorInvalid for the cursor of another order, Misplaced where there can be none.
    """
    if plan.grouped:
        raise Misplaced("cursor cannot be asked of groups", "leave the aggregates or the cursor out")
    if plan.offset:
        raise Misplaced("cursor and offset exclude each other", "leave offset and the Range header out")
    order = (*plan.order, *_tie_breakers(plan.order, collection, owner))
    digest = digest_of(collection.name, order)
    cursor = parse_cursor(text)
    after = None
    if cursor is not None:
        if cursor.digest != digest or len(cursor.values) != len(order):
            raise CursorInvalid("it is of a query with another collection or order")
        after = cursor.values
    required = frozenset(field.name for field in collection.fields if field.required or field.name in collection.key)
    shown = frozenset(field.name for field in collection.fields if field.read is None)
    return msgspec.structs.replace(
        plan, order=order, keyset=Keyset(digest=digest, after=after, filled=required & shown)
    )


def _tie_breakers(order: tuple[Order, ...], collection: Collection, owner: Owner) -> tuple[Order, ...]:
    """What of a unique set of fields the order has not. They follow its last term's direction: one index serves both.

    Only fields that every caller sees: an order over what is hidden from one would tell of it.
    """
    descending = bool(order) and order[-1].descending
    ordered = {term.expr for term in order if term.embed is None}
    candidates = []
    for names in collection.unique_sets:
        fields = [collection.field(name) for name in names]
        if names and all(
            field is not None
            and field.name in owner.columns
            and field.read is None
            and (field.required or field.name in collection.key)
            for field in fields
        ):
            candidates.append([name for name in names if Column(name) not in ordered])
    if not candidates:
        raise Misplaced(
            f"{collection.name} has no unique fields that everybody may read, which a cursor needs",
            "use limit and offset",
        )
    missing = min(candidates, key=len)
    return tuple(Order(Column(name), descending, type=owner.columns[name].bind) for name in missing)
