"""Which reads find at most one record by its key, so that they are short whatever the table holds."""

from __future__ import annotations

from mbaas.core.expr.types import And, Binary, Column, Value
from mbaas.core.plan.types import ReadPlan
from mbaas.core.schema.catalog import Collection


def is_point(plan: ReadPlan) -> bool:
    """Whether the filters hold a whole key or a unique field to a value, and nothing else is asked."""
    return plan.collection is not None and is_plain(plan) and not plan.grouped and _keyed(plan.collection, plan)


def is_plain(plan: ReadPlan | None) -> bool:
    """Whether nothing is embedded, and no function is called that may take its time."""
    return plan is None or not (plan.embeds or plan.computed)


def _keyed(collection: Collection, plan: ReadPlan) -> bool:
    conditions = plan.where.items if isinstance(plan.where, And) else (plan.where,)
    held = {
        condition.left.name
        for condition in conditions
        if isinstance(condition, Binary)
        and condition.op == "="
        and isinstance(condition.left, Column)
        and isinstance(condition.right, Value)
    }
    unique = {field.name for field in collection.fields if field.unique}
    return bool(held & unique) or (bool(collection.key) and held.issuperset(collection.key))
