"""What a request can get wrong once the catalog is known, beside what ``core.query.errors`` has."""

from __future__ import annotations

from mbaas.core.errors import Forbidden, QueryError


class UnknownType(QueryError):
    """A cast to a type that is not on the list."""

    code = "query_unknown_type"

    def __init__(self, name: str) -> None:
        super().__init__(f'type "{name}" does not exist')


class PatternsOff(Forbidden):
    """Regular expressions are not for this caller: one can be made to run very long."""

    code = "query_patterns_off"

    def __init__(self) -> None:
        super().__init__("Regular expressions are not allowed without signing in", hint="use like or ilike")


class NoUniqueTarget(QueryError):
    """``on_conflict`` names columns that no unique constraint covers."""

    code = "query_no_unique_target"

    def __init__(self) -> None:
        super().__init__("there is no unique or exclusion constraint matching the ON CONFLICT specification")
