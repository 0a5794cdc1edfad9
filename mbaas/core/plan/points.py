"""Which reads find at most one record by its key, so that they are short whatever the table holds."""

from __future__ import annotations

from mbaas.core.expr.types import And, Binary, Column, Expr, Value
from mbaas.core.plan.types import ReadPlan
from mbaas.core.schema.catalog import Collection


def is_point(plan: ReadPlan) -> bool:
    """Whether the filters hold a whole key or a unique field to a value, and nothing else is asked."""
    return (
        plan.collection is not None
        and is_plain(plan)
        and not plan.grouped
        and bool(key_values(plan.collection, plan.where))
    )


def is_plain(plan: ReadPlan | None) -> bool:
    """Whether nothing is embedded, and no function is called that may take its time."""
    return plan is None or not (plan.embeds or plan.computed)


def key_values(collection: Collection, where: Expr) -> tuple[Value, ...]:
    """What the filters hold a unique field or a whole key to; none when they do not."""
    held: dict[str, Value] = {}
    for condition in where.items if isinstance(where, And) else (where,):
        if (
            isinstance(condition, Binary)
            and condition.op == "="
            and isinstance(condition.left, Column)
            and isinstance(condition.right, Value)
        ):
            held[condition.left.name] = condition.right
    for field in collection.fields:
        if field.unique and field.name in held:
            return (held[field.name],)
    if collection.key and held.keys() >= set(collection.key):
        return tuple(held[name] for name in collection.key)
    return ()
