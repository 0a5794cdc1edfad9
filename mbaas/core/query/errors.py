"""What a request to ``/rest/v1`` can get wrong, with the texts its clients know.

The rest of the tree is in ``mbaas.core.errors``; codes and statuses of the wire are the dialect's business.
"""

from __future__ import annotations

from mbaas.core.errors import MbaasError, NotFound, QueryError

_SHOWN = 500  # characters of the caller's own text that an error repeats


def shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


class QuerySyntax(QueryError):
    """A part of the query string is not in the grammar.

    what: how the part is called. position: 0-based, where it stopped making sense. shift: columns to add to the first
    line, for a text that the caller sees without its beginning.
    """

    code = "query_syntax"

    def __init__(self, what: str, text: str, position: int, details: str, *, shift: int = 0) -> None:
        line = text.count("\n", 0, position) + 1
        column = position - text.rfind("\n", 0, position) + (shift if line == 1 else 0)
        super().__init__(f'"failed to parse {what} ({shorten(text)})" (line {line}, column {column})', details=details)


class QueryTooComplex(QueryError):
    """Deeper, longer or more than one request may be."""

    code = "query_too_complex"


class UnknownSchema(QueryError):
    code = "schema_unknown"

    def __init__(self, name: str, exposed: tuple[str, ...] = ("public",)) -> None:
        super().__init__(
            f"Invalid schema: {name}", hint="Only the following schemas are exposed: " + ", ".join(exposed)
        )


class UnknownFunction(MbaasError):
    """No function of that name takes arguments of those names."""

    code = "function_unknown"

    def __init__(self, name: str, arguments: tuple[str, ...] = (), *, perhaps: str | None = None) -> None:
        listed = ", ".join(arguments)
        call = f"({listed})" if arguments else " without parameters"
        plural = "parameters" if len(arguments) > 1 else "parameter"
        searched = f" with {plural} {listed}" if arguments else " without parameters"
        super().__init__(
            f"Could not find the function public.{name}{call} in the schema cache",
            details=f"Searched for the function public.{name}{searched}, "
            "but no matches were found in the schema cache.",
            hint=None if perhaps is None else f"Perhaps you meant to call the function public.{perhaps}",
        )


class AmbiguousFunction(QueryError):
    """Several functions fit. ``candidates``: a name, and its arguments' names and types."""

    code = "function_ambiguous"

    def __init__(self, candidates: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]) -> None:
        listed = ", ".join(
            f"public.{name}({', '.join(f'{argument} => {type_}' for argument, type_ in arguments)})"
            for name, arguments in candidates
        )
        super().__init__(
            f"Could not choose the best candidate function between: {listed}",
            hint="Try renaming the parameters or the function itself in the database "
            "so function overloading can be resolved",
        )


class NoRelationship(QueryError):
    """Nothing leads from one collection to the other."""

    code = "relationship_unknown"

    def __init__(self, source: str, target: str, hint: str | None = None, *, perhaps: str | None = None) -> None:
        using = "" if hint is None else f" using the hint '{hint}'"
        super().__init__(
            f"Could not find a relationship between '{source}' and '{target}' in the schema cache",
            details=f"Searched for a foreign key relationship between '{source}' and '{target}'{using} "
            "in the schema 'public', but no matches were found.",
            hint=None if perhaps is None else f"Perhaps you meant '{perhaps}' instead of '{target}'.",
        )


class AmbiguousRelationship(QueryError):
    """More than one way leads there.

    candidates: objects with ``cardinality``, ``embedding`` and ``relationship``. spellings: what to write instead.
    """

    code = "relationship_ambiguous"

    def __init__(
        self, source: str, target: str, candidates: tuple[dict[str, str], ...], spellings: tuple[str, ...]
    ) -> None:
        super().__init__(
            f"Could not embed because more than one relationship was found for '{source}' and '{target}'",
            details=list(candidates),
            hint=f"Try changing '{target}' to one of the following: "
            + ", ".join(f"'{spelling}'" for spelling in spellings)
            + ". Find the desired relationship in the 'details' key.",
        )


class NotEmbedded(QueryError):
    """A filter, order or window is for something that ``select`` does not embed."""

    code = "query_not_embedded"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"'{name}' is not an embedded resource in this request",
            hint=f"Verify that '{name}' is included in the 'select' query parameter.",
        )


class OrderNotToOne(QueryError):
    """Rows can be put in order by a related record only when there is one at most."""

    code = "query_order_not_to_one"

    def __init__(self, source: str, target: str) -> None:
        super().__init__(
            f"A related order on '{target}' is not possible",
            details=f"'{source}' and '{target}' do not form a many-to-one or one-to-one relationship",
        )


class EmbedFilterInvalid(QueryError):
    """An embed as a whole can only be asked whether it is null."""

    code = "query_embed_filter"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Bad operator on the '{name}' embedded resource",
            details="Only is null or not is null filters are allowed on embedded resources",
        )


class AggregatesOff(QueryError):
    code = "query_aggregates_off"

    def __init__(self) -> None:
        super().__init__("Use of aggregate functions is not allowed")


class CursorInvalid(QueryError):
    """A cursor that does not go with the request. ``details``: why not."""

    code = "query_cursor_invalid"

    def __init__(self, details: str) -> None:
        super().__init__(
            "The cursor does not belong to this query",
            details=details,
            hint="follow the Link header of the answer before with nothing changed, or begin anew with cursor=*",
        )


class Misplaced(QueryError):
    """A parameter that cannot stand where it does. ``hint``: where it could."""

    code = "query_misplaced"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)


class Unsupported(QueryError):
    """In the grammar, and not made. ``details``: what exactly."""

    code = "query_unsupported"

    def __init__(self, details: str) -> None:
        super().__init__("Feature not implemented", details=details)


class RangeInvalid(QueryError):
    """The window of rows asked for cannot be. ``total``: how many rows there are, when they were counted."""

    code = "range_invalid"

    def __init__(self, details: str, *, total: int | None = None) -> None:
        super().__init__("Requested range not satisfiable", details=details)
        self.total = total

    @classmethod
    def beyond(cls, offset: int, total: int) -> RangeInvalid:
        details = f"An offset of {offset} was requested, but there are only {total} rows."
        return cls(details, total=total)


class PreferenceInvalid(QueryError):
    """``Prefer: handling=strict`` beside preferences nobody knows."""

    code = "preference_invalid"

    def __init__(self, unknown: tuple[str, ...]) -> None:
        super().__init__(
            "Invalid preferences given with handling=strict",
            details="Invalid preferences: " + shorten(", ".join(unknown)),
        )


class NotAcceptable(QueryError):
    """None of the media types the caller takes is one we make."""

    code = "not_acceptable"

    def __init__(self, accepted: tuple[str, ...]) -> None:
        super().__init__("None of these media types are available: " + shorten(", ".join(accepted)))


class NotSingular(QueryError):
    """One object was asked for and there is not exactly one row."""

    code = "not_singular"

    def __init__(self, rows: int) -> None:
        super().__init__("Cannot coerce the result to a single JSON object", details=f"The result contains {rows} rows")


class MaxAffectedExceeded(QueryError):
    """More rows were hit than ``max-affected`` allows, so none was."""

    code = "max_affected_exceeded"

    def __init__(self, rows: int) -> None:
        super().__init__(
            "Query result exceeds max-affected preference constraint", details=f"The query affects {rows} rows"
        )


class MaxAffectedUnsupported(QueryError):
    code = "max_affected_unsupported"

    def __init__(self) -> None:
        super().__init__(
            "Function must return SETOF or TABLE when max-affected preference is used with handling=strict"
        )


class PutInvalid(QueryError):
    """PUT needs every key column as ``eq`` and nothing else."""

    code = "put_filters"

    def __init__(self) -> None:
        super().__init__("Filters must include all and only primary key columns with 'eq' operators")


class PutWindow(QueryError):
    code = "put_window"

    def __init__(self) -> None:
        super().__init__("limit/offset querystring parameters are not allowed for PUT")


class PutMismatch(QueryError):
    code = "put_mismatch"

    def __init__(self) -> None:
        super().__init__("Payload values do not match URL in primary key column(s)")


class MethodNotAllowed(QueryError):
    code = "method_not_allowed"

    def __init__(self, method: str) -> None:
        super().__init__(f"Unsupported HTTP method: {method}")


class ViewNotWritten(MethodNotAllowed):
    """A view is only read."""

    code = "view_not_written"

    def __init__(self, name: str) -> None:
        QueryError.__init__(self, f"{name} is a view, which can only be read")


class CallMethodNotAllowed(MethodNotAllowed):
    """A function is called by GET, HEAD or POST."""

    code = "call_method_not_allowed"

    def __init__(self, method: str) -> None:
        QueryError.__init__(self, f"Cannot use the {method} method on RPC")


class UnknownPath(NotFound):
    """Nothing is served there."""

    code = "path_unknown"

    def __init__(self) -> None:
        super().__init__("Invalid path specified in request URL")


class ReferenceInvalid(QueryError):
    """An operation of a batch refers to what is not there, or where nothing can be referred to."""

    code = "batch_reference_invalid"
