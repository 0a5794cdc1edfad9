"""What one operation may cost, counted while it is planned, before PostgreSQL hears of it."""

from __future__ import annotations

from mbaas.core.query.errors import QueryTooComplex
from mbaas.core.query.limits import DEFAULT_LIMITS, Limits


class Budget:
    """Raises QueryTooComplex for what goes beyond.

    max_depth: collections in each other, the outermost one included. max_cost: records that the answer may hold, each
    list as long as it may be times the lists around it. limits: of filters, and how many fields and embeds there are.
    """

    def __init__(self, *, max_depth: int, max_cost: int, limits: Limits = DEFAULT_LIMITS) -> None:
        self._max_depth = max_depth
        self._max_cost = max_cost
        self._limits = limits
        self.cost = 0
        self._fields = 0
        self._embeds = 0
        self._terms = 0

    def field(self) -> None:
        """One field of the answer's form, under whichever alias and by whichever fragment it came."""
        self._fields += 1
        if self._fields > self._limits.select_items:
            raise QueryTooComplex(
                f"the operation selects more than {self._limits.select_items} fields", hint="ask in several requests"
            )

    def records(self, count: int, depth: int) -> None:
        """One list, or one related record a record around it."""
        self._embeds += 1
        if self._embeds > self._limits.embeds:
            raise QueryTooComplex(
                f"the operation reads more than {self._limits.embeds} collections", hint="ask in several requests"
            )
        if depth > self._max_depth:
            raise QueryTooComplex(f"collections are nested more than {self._max_depth} deep")
        self.cost += count
        if self.cost > self._max_cost:
            raise QueryTooComplex(
                f"the answer could hold more than {self._max_cost} records",
                hint="ask for fewer with first, above all where lists stand in lists",
            )

    def condition(self, depth: int) -> None:
        self._terms += 1
        if self._terms > self._limits.filter_terms:
            raise QueryTooComplex(f"the operation filters by more than {self._limits.filter_terms} conditions")
        if depth > self._limits.filter_depth:
            raise QueryTooComplex(f"filters are nested more than {self._limits.filter_depth} deep")
