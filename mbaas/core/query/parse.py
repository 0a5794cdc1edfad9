"""A query string becomes ``Parameters``: percent-decoded once, read once, in one form whatever its spelling was.

Reserved keys are ``select columns on_conflict order limit offset and or``; the last five may carry the path of an embed
(``comments.author.order``) and the last two a ``not``. ``cursor search near within distance having`` are words too
where the collection has no such column, which the catalog will tell. Everything else is a filter. A key in double
quotes is a name, never a reserved word. Of a repeated ``select``, ``columns`` or ``on_conflict`` the first counts, of a
window the last, orders follow each other, and filters must all hold.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Literal
from urllib.parse import unquote_to_bytes

from mbaas.core.query.errors import QuerySyntax, QueryTooComplex, RangeInvalid
from mbaas.core.query.filters import is_condition, parse_condition, parse_logic, terms
from mbaas.core.query.limits import DEFAULT_LIMITS, Limits
from mbaas.core.query.order import parse_order
from mbaas.core.query.scanner import Scanner
from mbaas.core.query.select import parse_select
from mbaas.core.query.types import (
    EmbedPath,
    Filter,
    OrderTerm,
    Parameters,
    Path,
    ReadParts,
    SelectItem,
    Star,
    Window,
)

WHOLE = frozenset({"select", "columns", "on_conflict"})
EMBEDDABLE = frozenset({"order", "limit", "offset", "and", "or"})
WORDS = frozenset({"cursor", "search", "near", "within", "distance", "having"})

_PLAIN_KEY = re.compile(r"[a-z_][a-z0-9_]*+", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]++", re.ASCII)
_LARGEST = 2**63 - 1
_ALL = (Star(),)


def split_query(query_string: bytes | str, limits: Limits = DEFAULT_LIMITS) -> list[tuple[str, str]]:
    """Keys and values in order, decoded. Raises QuerySyntax for what is no UTF-8 or holds a NUL.

    >>> split_query(b"a=1%2B1&a=x+y")
    [('a', '1+1'), ('a', 'x y')]
    """
    raw = query_string.encode("utf-8", "surrogatepass") if isinstance(query_string, str) else query_string
    if not raw:
        return []
    if len(raw) > limits.max_url:
        raise QueryTooComplex(f"the query string is longer than {limits.max_url} bytes")
    try:
        if b"%" not in raw and b"+" not in raw:
            pairs = [part.partition("=") for part in raw.decode().split("&") if part]
            decoded = [(key, value) for key, _, value in pairs]
        else:
            encoded = [part.partition(b"=") for part in raw.replace(b"+", b" ").split(b"&") if part]
            decoded = [(unquote_to_bytes(key).decode(), unquote_to_bytes(value).decode()) for key, _, value in encoded]
    except UnicodeDecodeError as error:
        raise QuerySyntax("query string", "", 0, "it is not UTF-8") from error
    if b"%00" in raw or b"\0" in raw:
        raise QuerySyntax("query string", "", 0, "it holds a NUL character")
    return decoded


def parse_read_parts(
    query_string: bytes | str, limits: Limits = DEFAULT_LIMITS, *, ignore: Collection[str] = ()
) -> ReadParts:
    """What a query string says about rows. ``ignore``: keys of the route's own, passed over.

    Raises QueryError.

    >>> parse_read_parts(b"id=eq.1").filters[0][1].value
    '1'
    """
    return parse_parameters(query_string, limits, ignore=ignore).parts


def parse_parameters(
    query_string: bytes | str,
    limits: Limits = DEFAULT_LIMITS,
    *,
    ignore: Collection[str] = (),
    arguments: Collection[str] | None = None,
    variadic: Collection[str] = (),
) -> Parameters:
    """Everything a query string says.

    arguments: for a function called by GET, the names of its arguments (of all its overloads), else ``None``. The first
    value under such a name is the argument's, all of them for one in ``variadic``; so a value can never turn itself
    into a filter. A key that is no argument and whose value is no condition is given as an argument too: then no
    function of that name fits. Raises QueryError.
    """
    reader = _Reader(limits)
    given: list[tuple[str, str]] = []
    seen: set[str] = set()
    for key, value in split_query(query_string, limits):
        if key in ignore:
            continue
        if arguments is not None and _is_argument(key, value, arguments, variadic, seen):
            given.append((key, value))
            seen.add(key)
            continue
        reader.read(key, value)
    return reader.parameters(tuple(given))


def read_pairs(pairs: Iterable[tuple[str, str]], limits: Limits = DEFAULT_LIMITS) -> Parameters:
    """What keys and values say that ``split_query`` took apart. Raises QueryError."""
    reader = _Reader(limits)
    for key, value in pairs:
        reader.read(key, value)
    return reader.parameters(())


def _is_argument(
    key: str, value: str, arguments: Collection[str], variadic: Collection[str], seen: Collection[str]
) -> bool:
    if key in arguments:
        return key in variadic or key not in seen
    if key in WHOLE or key.rpartition(".")[2] in EMBEDDABLE:
        return False
    return not is_condition(value)


def parse_columns(text: str, what: str = "columns parameter") -> tuple[str, ...]:
    """Names separated by commas, in order, each once. Raises QuerySyntax; no name at all is an error.

    >>> parse_columns('"title",body')
    ('title', 'body')
    """
    scanner = Scanner(text, what, DEFAULT_LIMITS)
    names: dict[str, None] = {}
    while True:
        scanner.skip()
        names[scanner.name()] = None
        scanner.skip()
        if not scanner.take(","):
            break
    if not scanner.done:
        raise scanner.fail('"," or end of input')
    return tuple(names)


class _Reader:
    """The parameters read so far."""

    __slots__ = ("columns", "filters", "limits", "on_conflict", "order", "select", "terms", "windows", "words")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.terms = 0
        self.select: tuple[SelectItem, ...] | None = None
        self.columns: tuple[str, ...] | None = None
        self.on_conflict: tuple[str, ...] | None = None
        self.filters: list[tuple[EmbedPath, Filter]] = []
        self.order: dict[EmbedPath, tuple[OrderTerm, ...]] = {}
        self.windows: dict[EmbedPath, Window] = {}
        self.words: list[tuple[str, str]] = []

    def read(self, key: str, value: str) -> None:
        if key in WHOLE:
            self.whole(key, value)
        elif key in EMBEDDABLE:
            self.embeddable((), key, value, negated=False)
        elif key in WORDS:
            self.spend(1)
            self.words.append((key, value))
        elif _PLAIN_KEY.fullmatch(key):
            self.filter((), parse_condition(Path(key), value, self.limits))
        else:
            self.pathed(key, value)

    def whole(self, key: str, value: str) -> None:
        if key == "select":
            if self.select is None:
                self.select = parse_select(value, self.limits)
        elif key == "columns":
            if self.columns is None:
                self.columns = parse_columns(value)
        elif self.on_conflict is None:
            self.on_conflict = parse_columns(value, "on_conflict parameter")

    def pathed(self, key: str, value: str) -> None:
        """A key of several segments, quoted names or JSON steps."""
        scanner = Scanner(key, "tree path", self.limits)
        names: list[str] = []
        bare: list[bool] = []
        while True:
            scanner.skip()
            bare.append(not scanner.sees('"'))
            names.append(scanner.name())
            scanner.skip()
            if not scanner.take("."):
                break
        steps = scanner.steps()
        scanner.skip()
        if not scanner.done:
            raise scanner.fail('"->>", "->", delimiter (.) or end of input')
        last = names.pop()
        if bare.pop() and not steps and last in EMBEDDABLE:
            negated = last in ("and", "or") and bool(names) and names[-1] == "not" and bare[-1]
            if negated:
                names.pop()
            self.embeddable(tuple(names), last, value, negated=negated)
        else:
            self.filter(tuple(names), parse_condition(Path(last, steps), value, self.limits))

    def embeddable(self, path: EmbedPath, word: str, value: str, *, negated: bool) -> None:
        if word == "order":
            ordered = parse_order(value, self.limits)
            self.spend(len(ordered))
            self.order[path] = self.order.get(path, ()) + ordered
        elif word in ("and", "or"):
            operator: Literal["and", "or"] = "and" if word == "and" else "or"
            self.filter(path, parse_logic(operator, value, self.limits, negated=negated))
        else:
            number = _parse_number(word, value)
            window = self.windows.get(path, Window())
            self.windows[path] = (
                Window(number, window.offset) if word == "limit" else Window(window.limit, max(number, 0))
            )

    def filter(self, path: EmbedPath, item: Filter) -> None:
        self.spend(terms(item))
        self.filters.append((path, item))

    def spend(self, count: int) -> None:
        self.terms += count
        if self.terms > self.limits.filter_terms:
            raise QueryTooComplex(f"the query has more than {self.limits.filter_terms} filter and order terms")

    def parameters(self, arguments: tuple[tuple[str, str], ...]) -> Parameters:
        parts = ReadParts(
            select=_ALL if self.select is None else self.select,
            filters=tuple(self.filters),
            order=self.order,
            windows=self.windows,
            words=tuple(self.words),
        )
        return Parameters(parts=parts, columns=self.columns, on_conflict=self.on_conflict, arguments=arguments)


def _parse_number(word: str, value: str) -> int:
    """``limit`` or ``offset`` as a number PostgreSQL can hold; only a limit must not be negative."""
    text = value.strip()
    if not _NUMBER.fullmatch(text):
        raise QuerySyntax(f"{word} parameter", value, 0, "expecting digits")
    number = int(text[:20]) if len(text) <= 20 else _LARGEST
    if text.startswith("-"):
        if word == "limit" and number != 0:
            raise RangeInvalid("Limit should be greater than or equal to zero.")
        return 0
    return min(number, _LARGEST)
