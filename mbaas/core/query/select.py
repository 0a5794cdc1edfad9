"""``select``: which columns, embeds and aggregates go out.

The grammar: ``*`` · ``[alias:]column[->json][::cast][.aggregate()[::cast]]`` · ``[alias:]count()[::cast]`` ·
``[alias:]relation[!hint][!inner|!left](items)`` · ``...relation[!hint][!inner|!left](items)``.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

from mbaas.core.query.errors import QueryTooComplex
from mbaas.core.query.limits import Limits
from mbaas.core.query.scanner import Scanner
from mbaas.core.query.types import ColumnItem, CountItem, EmbedItem, Path, SelectItem, Star

Aggregate = Literal["sum", "avg", "min", "max", "count"]

_AGGREGATES: dict[str, Aggregate] = {name: name for name in get_args(Aggregate)}
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*+(?:,[a-z_][a-z0-9_]*+)*", re.ASCII)
_CAST = re.compile(r"[\w $]++")
_CALL = re.compile(r"\.([a-z]++)\(\)")
_STAR = Star()
_AFTER_FIELD = 'letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input'
_AFTER_ITEM = '")", "," or end of input'


def parse_select(text: str, limits: Limits) -> tuple[SelectItem, ...]:
    """The items of a ``select`` parameter. The empty text selects nothing.

    >>> parse_select("id,n:views::text", Limits())[1]
    ColumnItem(path=Path(name='views', steps=()), alias='n', cast='text', aggregate=None, aggregate_cast=None)
    """
    if text == "*":
        return (_STAR,)
    if _PLAIN.fullmatch(text):
        names = text.split(",")
        if len(names) > limits.select_items:
            raise _too_many(limits)
        return tuple([ColumnItem(Path(name)) for name in names])
    reader = _Reader(Scanner(text, "select parameter", limits))
    items = reader.items(0)
    if not reader.scanner.done:
        raise reader.scanner.fail(_AFTER_ITEM)
    return items


def _too_many(limits: Limits) -> QueryTooComplex:
    return QueryTooComplex(f"select has more than {limits.select_items} items")


class _Reader:
    """One ``select`` being read, with what it has cost so far."""

    __slots__ = ("count", "embeds", "scanner")

    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner
        self.count = 0
        self.embeds = 0

    def items(self, depth: int) -> tuple[SelectItem, ...]:
        """Items up to a closing parenthesis or the end, which stay unread."""
        scanner = self.scanner
        scanner.skip()
        if scanner.done or scanner.sees(")"):
            return ()
        items = [self.item(depth)]
        while scanner.take(","):
            items.append(self.item(depth))
        return tuple(items)

    def item(self, depth: int) -> SelectItem:
        scanner = self.scanner
        self.count += 1
        if self.count > scanner.limits.select_items:
            raise _too_many(scanner.limits)
        scanner.skip()
        if scanner.take("..."):
            name = scanner.name()
            return self.embed(name, None, depth, spread=True)
        if scanner.take("*"):
            self.end(_AFTER_ITEM)
            return _STAR
        quoted = scanner.sees('"')
        name = scanner.name()
        alias = None
        if scanner.sees(":") and not scanner.sees("::"):
            alias = name
            scanner.at += 1
            scanner.skip()
            quoted = scanner.sees('"')
            name = scanner.name()
        scanner.skip()
        if scanner.sees("(") or scanner.sees("!"):
            if name == "count" and not quoted:
                return self.rows(alias)
            return self.embed(name, alias, depth, spread=False)
        return self.column(name, alias)

    def rows(self, alias: str | None) -> CountItem:
        """``()`` after ``count``, and its cast."""
        if not self.scanner.take("()"):
            raise self.scanner.fail('"()"')
        cast = self.cast()
        self.end(_AFTER_ITEM)
        return CountItem(alias, cast)

    def column(self, name: str, alias: str | None) -> ColumnItem:
        scanner = self.scanner
        path = Path(name, scanner.steps())
        cast = self.cast()
        aggregate = aggregate_cast = None
        call = _CALL.match(scanner.text, scanner.at)
        if call is not None and call[1] in _AGGREGATES:
            aggregate = _AGGREGATES[call[1]]
            scanner.at = call.end()
            aggregate_cast = self.cast()
        self.end(_AFTER_FIELD)
        return ColumnItem(path, alias, cast, aggregate, aggregate_cast)

    def embed(self, target: str, alias: str | None, depth: int, *, spread: bool) -> EmbedItem:
        scanner = self.scanner
        hint = join = None
        while scanner.take("!"):
            quoted = scanner.sees('"')
            word = scanner.name('"left", "inner" or a hint')
            if word in ("inner", "left") and join is None and not quoted:
                join = word
            elif hint is None:
                hint = word
            else:
                raise scanner.fail('"("')
        scanner.skip()
        if not scanner.take("("):
            raise scanner.fail('"("')
        self.embeds += 1
        if depth >= scanner.limits.embed_depth:
            raise QueryTooComplex(f"embeds stand in each other more than {scanner.limits.embed_depth} deep")
        if self.embeds > scanner.limits.embeds:
            raise QueryTooComplex(f"select has more than {scanner.limits.embeds} embeds")
        items = self.items(depth + 1)
        if not scanner.take(")"):
            raise scanner.fail('")" or ","')
        self.end(_AFTER_ITEM)
        return EmbedItem(target, items, alias=alias, hint=hint, inner=join == "inner", spread=spread)

    def cast(self) -> str | None:
        """``::type`` in one spelling: type names do not care for case or for more than one space."""
        scanner = self.scanner
        if not scanner.take("::"):
            return None
        found = _CAST.match(scanner.text, scanner.at)
        cast = " ".join(found[0].lower().split()) if found is not None else ""
        if found is None or not cast:
            raise scanner.fail("letter or digit")
        scanner.at = found.end()
        return cast

    def end(self, expecting: str) -> None:
        """An item ends here: at a comma, a closing parenthesis or the end."""
        scanner = self.scanner
        scanner.skip()
        if not (scanner.done or scanner.sees(",") or scanner.sees(")")):
            raise scanner.fail(expecting)
