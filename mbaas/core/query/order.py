"""``order``: ``column[->json][.asc|.desc][.nullsfirst|.nullslast]``, and ``relation(column)`` for a to-one relation."""

from __future__ import annotations

import re
from typing import Literal

from mbaas.core.query.errors import QueryTooComplex
from mbaas.core.query.limits import Limits
from mbaas.core.query.scanner import Scanner
from mbaas.core.query.types import OrderTerm, Path

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*+(?:\.(?:asc|desc))?", re.ASCII)
_WORD = re.compile(r"[a-z]++")
_NULLS: dict[str, Literal["first", "last"]] = {"nullsfirst": "first", "nullslast": "last"}
_AFTER_TERM = '"," or end of input'


def parse_order(text: str, limits: Limits) -> tuple[OrderTerm, ...]:
    """The terms of an ``order`` parameter, at least one.

    >>> parse_order("views.desc.nullslast", Limits())
    (OrderTerm(path=Path(name='views', steps=()), relation=None, descending=True, nulls='last'),)
    """
    if _PLAIN.fullmatch(text):
        name, _, direction = text.partition(".")
        return (OrderTerm(Path(name), descending=direction == "desc"),)
    scanner = Scanner(text, "order", limits)
    terms = [_term(scanner)]
    while scanner.take(","):
        terms.append(_term(scanner))
        if len(terms) > limits.filter_terms:
            raise QueryTooComplex(f"order has more than {limits.filter_terms} terms")
    if not scanner.done:
        raise scanner.fail(_AFTER_TERM)
    return tuple(terms)


def _term(scanner: Scanner) -> OrderTerm:
    scanner.skip()
    relation = None
    name = scanner.name()
    if scanner.take("("):
        relation = name
        scanner.skip()
        path = scanner.path()
        scanner.skip()
        if not scanner.take(")"):
            raise scanner.fail('")"')
    else:
        path = Path(name, scanner.steps())
    scanner.skip()
    direction = nulls = None
    while scanner.sees("."):
        found = _WORD.match(scanner.text, scanner.at + 1)
        word = found[0] if found is not None else ""
        if direction is None and nulls is None and word in ("asc", "desc"):
            direction = word
        elif nulls is None and word in _NULLS:
            nulls = _NULLS[word]
        else:
            raise _misspelt(scanner, word, direction, nulls)
        scanner.at += 1 + len(word)
    scanner.skip()
    if not scanner.done and not scanner.sees(","):
        raise scanner.fail(_AFTER_TERM if nulls else 'delimiter (.), "," or end of input')
    return OrderTerm(path, relation, direction == "desc", nulls)


def _misspelt(scanner: Scanner, word: str, direction: str | None, nulls: str | None) -> Exception:
    """The error for a word after a dot, placed where it leaves every word there is."""
    if nulls is not None:
        return scanner.fail(_AFTER_TERM)
    words = ("nullsfirst", "nullslast") if direction else ("asc", "desc", "nullsfirst", "nullslast")
    for known in words:
        if word.startswith(known):
            return scanner.fail(_AFTER_TERM, scanner.at + 1 + len(known))
    return scanner.fail(", ".join(f'"{w}"' for w in words[:-1]) + f' or "{words[-1]}"', scanner.at + 1)
