"""Conditions and logic trees: ``column=not.in.(1,2)``, ``or=(a.eq.1,and(b.gt.2,not.c.is.null))``.

A value outside of a tree is everything up to the end. Inside of one it ends at a comma or a closing parenthesis, unless
it is quoted or a brace array.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from mbaas.core.errors import InvalidValue
from mbaas.core.query.errors import QueryTooComplex, shorten
from mbaas.core.query.limits import Limits
from mbaas.core.query.scanner import Scanner, unescape
from mbaas.core.query.types import Condition, Filter, Logic, Path

QUANTIFIED = frozenset({"eq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch"})
PLAIN = QUANTIFIED | {"neq", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj", "isdistinct"}
TEXT_SEARCH = frozenset({"fts", "plfts", "phfts", "wfts"})
IS_VALUES = frozenset({"null", "not_null", "true", "false", "unknown"})
OPERATORS = PLAIN | TEXT_SEARCH | {"in", "is"}

_SPACE = " \t\r\n"
_OPERATOR = re.compile(r"([a-z]++)(?:\(([\w $]++)\))?\.")
_WORD = re.compile(r"[A-Za-z_]++", re.ASCII)
_GROUP = re.compile(r"(not\.)?(and|or)[ \t\r\n]*+\(")
_QUOTED_ELEMENT = re.compile(r'"((?:[^"\\]++|\\.)*)"(?=[,)]|\Z)', re.DOTALL)
_QUOTED_VALUE = re.compile(r'"((?:[^"\\]++|\\.)*)"(?=[ \t\r\n]*+(?:[,)]|\Z))', re.DOTALL)
_BARE = re.compile(r"[^,)]*+")
_BRACES = re.compile(r"\{[^{}]*+\}")
_ARRAY_SPACE = " \t\n\r\v\f"  # PostgreSQL's: no other white space is layout
_ARRAY_ELEMENT = re.compile(
    r'[ \t\n\r\v\f]*+(?:"((?:[^"\\]++|\\.)*)"|((?:[^{}",\\]++|\\.)+))[ \t\n\r\v\f]*+([,}])', re.DOTALL
)

_NOT_OR_OPERATOR = '"not" or operator (eq, gt, ...)'
_IN_GROUP = "field name (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)"


def parse_condition(path: Path, text: str, limits: Limits) -> Condition:
    """The condition that ``path=text`` asks for, outside of a tree.

    >>> found = parse_condition(Path("id"), "not.in.(1,2)", Limits())
    >>> found.negated, found.operator, found.value
    (True, 'in', ('1', '2'))
    """
    operator, dot, value = text.partition(".")
    if dot and operator in PLAIN:
        return Condition(path, operator, value)
    scanner = Scanner(text, "filter", limits)
    condition = _operation(scanner, path, _ALONE)
    if not scanner.done:
        raise scanner.fail("end of input")
    return condition


def is_condition(text: str) -> bool:
    """Whether a value begins as a condition does, so that it cannot be meant as a function's argument."""
    found = _OPERATOR.match(text, 4 if text.startswith("not.") else 0)
    return found is not None and found[1] in OPERATORS


def parse_logic(operator: Literal["and", "or"], text: str, limits: Limits, *, negated: bool = False) -> Logic:
    """The tree that ``or=text`` or ``not.and=text`` asks for.

    >>> parse_logic("or", "(a.eq.1)", Limits()).items[0].value
    '1'
    """
    scanner = Scanner(text, "logic tree", limits, shift=len(operator) + 4 * negated)
    scanner.skip()
    if not scanner.take("("):
        raise scanner.fail('"("')
    tree = _Tree(scanner)
    logic = Logic(operator, tree.items(1), negated)
    while scanner.take(")"):  # clients have sent one too many for so long that everybody lets it pass
        scanner.skip()
    if not scanner.done:
        raise scanner.fail("end of input")
    return logic


class _Tree:
    """One logic tree being read, with what it has cost so far."""

    __slots__ = ("count", "scanner")

    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner
        self.count = 0

    def items(self, depth: int) -> tuple[Filter, ...]:
        """What stands between parentheses; the opening one is read, the closing one will be."""
        scanner = self.scanner
        if depth > scanner.limits.filter_depth:
            raise QueryTooComplex(f"a filter has groups in each other more than {scanner.limits.filter_depth} deep")
        items = [self.item(depth)]
        while scanner.take(","):
            items.append(self.item(depth))
        if not scanner.take(")"):
            raise scanner.fail('"," or ")"')
        scanner.skip()
        return tuple(items)

    def item(self, depth: int) -> Filter:
        scanner = self.scanner
        self.count += 1
        if self.count > scanner.limits.filter_terms:
            raise QueryTooComplex(f"a filter has more than {scanner.limits.filter_terms} terms")
        scanner.skip()
        group = _GROUP.match(scanner.text, scanner.at)
        if group is not None:
            scanner.at = group.end()
            operator: Literal["and", "or"] = "and" if group[2] == "and" else "or"
            return Logic(operator, self.items(depth + 1), group[1] is not None)
        path = Path(scanner.name(_IN_GROUP), scanner.steps())
        scanner.skip()
        if not scanner.take("."):
            raise scanner.fail("delimiter (.)")
        condition = _operation(scanner, path, _IN_TREE)
        scanner.skip()
        return condition


def terms(item: Filter) -> int:
    """How many conditions and groups a filter is made of."""
    if isinstance(item, Condition):
        return 1
    return 1 + sum(terms(inner) for inner in item.items)


class _Place(NamedTuple):
    """Where a condition stands: what reads its value up to the end of it, and what an unquoted element of a list is."""

    read_value: Callable[[Scanner], str]
    element: Callable[[str], str]


def _operation(scanner: Scanner, path: Path, place: _Place) -> Condition:
    """``[not.]operator[(any|all|config)].value``."""
    negated = scanner.take("not.")
    start = scanner.at
    found = _OPERATOR.match(scanner.text, start)
    if found is None or found[1] not in OPERATORS:
        raise scanner.fail(_NOT_OR_OPERATOR if not negated else "operator (eq, gt, ...)")
    operator, option = found[1], found[2]
    scanner.at = found.end()
    if option is None:
        if operator in PLAIN or operator in TEXT_SEARCH:
            return Condition(path, operator, place.read_value(scanner), negated)
        return Condition(path, operator, _list(scanner, place) if operator == "in" else _is_value(scanner), negated)
    if operator in TEXT_SEARCH and option.strip():
        return Condition(path, operator, place.read_value(scanner), negated, config=option.strip())
    if operator in QUANTIFIED and option in ("any", "all"):
        quantifier: Literal["any", "all"] = "any" if option == "any" else "all"
        return Condition(path, operator, parse_array(place.read_value(scanner)), negated, quantifier)
    raise scanner.fail("operator (eq, gt, ...)", start + len(operator))


def _rest(scanner: Scanner) -> str:
    value = scanner.text[scanner.at :]
    scanner.at = len(scanner.text)
    return value


def _until_separator(scanner: Scanner) -> str:
    quoted = _QUOTED_VALUE.match(scanner.text, scanner.at)
    if quoted is not None:
        scanner.at = quoted.end()
        return unescape(quoted[1])
    braces = _BRACES.match(scanner.text, scanner.at)
    if braces is not None:
        scanner.at = braces.end()
        return braces[0]
    bare = _BARE.match(scanner.text, scanner.at)
    if bare is None:
        return ""
    scanner.at = bare.end()
    return bare[0].rstrip(_SPACE)


# Outside of a tree, where clients send values as they are, spaces are theirs; inside, where people write, layout.
_ALONE = _Place(_rest, lambda text: text)
_IN_TREE = _Place(_until_separator, lambda text: text.strip(_SPACE))


def _is_value(scanner: Scanner) -> str:
    found = _WORD.match(scanner.text, scanner.at)
    word = found[0].lower() if found is not None else ""
    if found is None or word not in IS_VALUES:
        raise scanner.fail("isVal: (null, not_null, true, false, unknown)")
    scanner.at = found.end()
    return word


def _list(scanner: Scanner, place: _Place) -> tuple[str, ...]:
    """``(a,"b,c",d)``. Only a text that is quoted as a whole loses its quotes; nothing at all is no element."""
    if not scanner.take("("):
        raise scanner.fail('"("')
    elements: list[str] = []
    while True:
        quoted = _QUOTED_ELEMENT.match(scanner.text, scanner.at)
        if quoted is not None:
            scanner.at = quoted.end()
            elements.append(unescape(quoted[1]))
        else:
            bare = _BARE.match(scanner.text, scanner.at)
            if bare is not None:
                scanner.at = bare.end()
                elements.append(place.element(bare[0]))
        if not scanner.take(","):
            break
    blank = len(elements) == 1 and quoted is None and not elements[0].strip(_SPACE)
    if not scanner.take(")"):
        raise scanner.fail('"," or ")"')
    scanner.skip()
    return () if blank else tuple(elements)


def parse_array(text: str) -> tuple[str | None, ...]:
    """A one-dimensional array in PostgreSQL's text form, taken apart. Raises InvalidValue.

    >>> parse_array('{a*,"b,c",NULL}')
    ('a*', 'b,c', None)
    """
    inner = text.strip(_ARRAY_SPACE)
    if not inner.startswith("{") or not inner.endswith("}"):
        raise _malformed(text)
    if not inner[1:-1].strip(_ARRAY_SPACE):
        return ()
    elements: list[str | None] = []
    at = 1
    while True:
        found = _ARRAY_ELEMENT.match(inner, at)
        if found is None:
            raise _malformed(text)
        quoted, bare, separator = found.groups()
        if quoted is not None:
            elements.append(unescape(quoted))
        else:
            bare = _without_trailing_space(bare)
            elements.append(None if bare.lower() == "null" else unescape(bare))
        at = found.end()
        if separator == "}":
            break
    if at != len(inner):
        raise _malformed(text)
    return tuple(elements)


def _without_trailing_space(text: str) -> str:
    """White space after an element is none of it, unless a backslash says so."""
    bare = text.rstrip(_ARRAY_SPACE)
    backslashes = len(bare) - len(bare.rstrip("\\"))
    return text[: len(bare) + 1] if backslashes % 2 else bare


def _malformed(text: str) -> InvalidValue:
    return InvalidValue(f'malformed array literal: "{shorten(text)}"')
