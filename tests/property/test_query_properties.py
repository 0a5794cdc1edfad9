"""What holds for every request: parsing undoes formatting, spellings do not matter, hostile text is refused in time."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mbaas.core.errors import BodyInvalid, QueryError
from mbaas.core.query.body import parse_call, parse_insert, parse_update
from mbaas.core.query.format import format_read_parts
from mbaas.core.query.headers import parse_accept, parse_content_type, parse_prefer
from mbaas.core.query.limits import Limits
from mbaas.core.query.parse import parse_parameters, parse_read_parts
from mbaas.core.query.ranges import apply_range
from mbaas.core.query.types import Condition, Path, ReadParts
from tests.strategies_query import hostile, names, read_parts, texts
from tests.timing import cpu_s

SOAK = bool(os.environ.get("MBAAS_SOAK"))
few = settings(
    max_examples=3_000 if SOAK else 150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not SOAK,
)
PILE = 100_000 if SOAK else 30_000  # characters
WIDE = Limits(max_url=4_000_000, filter_terms=10**9, select_items=10**9, embeds=10**9)


@given(parts=read_parts)
@few
def test_parsing_undoes_formatting(parts: ReadParts) -> None:
    assert parse_read_parts(format_read_parts(parts).encode(), WIDE) == parts


@given(parts=read_parts, choices=st.randoms(use_true_random=False))
@few
def test_percent_encoding_never_changes_what_is_asked(parts: ReadParts, choices: Any) -> None:
    encoded = "".join(
        _escaped(unit, choices) if len(unit) == 1 and unit not in "&=" else unit
        for unit in re.findall(r"%..|.", format_read_parts(parts))
    )
    assert parse_read_parts(encoded, WIDE) == parts


def _escaped(character: str, choices: Any) -> str:
    return f"%{ord(character):{choices.choice(['02x', '02X'])}}" if choices.random() < 0.3 else character


@given(name=names, value=texts)
@example(name="id", value="9223372036854775808")
@example(name="id", value="1e400")
@example(name="id", value="NaN")
@example(name="id", value="-0")
@example(name="id", value="10000-01-01")
@example(name="id", value="é")
@example(name="id", value="e\u0301")
@example(name="id", value="%41")
@example(name="%41", value="%2541")
@few
def test_a_value_arrives_as_it_was_sent(name: str, value: str) -> None:
    parts = ReadParts(filters=(((), Condition(Path(name), "eq", value)),))
    found = parse_read_parts(format_read_parts(parts)).filters[0][1]
    assert isinstance(found, Condition)
    assert (found.path.name, found.value) == (name, value)


TEXT_PARSERS: list[Callable[[str], Any]] = [
    lambda text: parse_parameters(text),
    lambda text: parse_parameters(text, arguments=("a", "b")),
    lambda text: parse_parameters(text.encode("utf-8", "surrogatepass")),
    lambda text: parse_parameters(f"select={text}"),
    lambda text: parse_parameters(f"order={text}"),
    lambda text: parse_parameters(f"or=({text})"),
    lambda text: parse_parameters(f"a={text}"),
    lambda text: parse_parameters(f"a=in.({text})"),
    lambda text: parse_parameters(f"a=eq(any).{{{text}}}"),
    lambda text: parse_parameters(f"columns={text}&on_conflict={text}"),
    lambda text: parse_prefer([text, text]),
    lambda text: parse_prefer([f"handling=strict,{text}"]),
    lambda text: parse_accept(text),
    lambda text: parse_content_type(text),
    lambda text: apply_range(ReadParts(), text),
]


@given(text=hostile)
@few
def test_hostile_text_is_refused_and_nothing_else(text: str) -> None:
    for parse in TEXT_PARSERS:
        refused = _refusal(parse, text)
        if refused is not None:
            json.dumps([refused.message, refused.details, refused.hint])
            assert len(refused.message) < 2_000


def _refusal(parse: Callable[[str], Any], text: str) -> QueryError | None:
    try:
        parse(text)
    except QueryError as refused:
        return refused
    return None


PILES = [
    "(",
    ")",
    "or(",
    "and(a.eq.1,",
    "not.",
    "a(",
    "a!b(",
    "...",
    '"',
    '\\"',
    '"a\\',
    '"a",',
    '{"',
    "{",
    "{a,",
    "a,",
    "a.",
    "a->",
    "->>1",
    "-",
    "--",
    ">",
    ":",
    "::",
    "a::b",
    "a:",
    " ",
    "\t",
    "%",
    "%2",
    "%25",
    "+",
    "&",
    "=",
    "a=&",
    "\\",
    ",",
    "*",
    "é",
    "1",
    ".",
    "in.(",
    "eq(",
    "a.eq.1,",
    'a.eq."',
    'a.eq."x" ',
    "a.in.(",
    'a.in.("",',
    "a.eq.{",
    "q=0.1;",
    ";",
    "text/csv,",
    "return=minimal,",
    "a",
    "a-",
    "a b ",
]


PREFIXES = ["", "select=", "order=", "or=(", "or=(a.eq.", "a=in.(", "a=eq(any).{", "a=", "columns=", "a->", '"']


def parse_anything(text: str) -> Any:
    return parse_parameters(text, WIDE)


@pytest.mark.parametrize("pile", PILES)
def test_a_pile_of_anything_costs_linear_time(pile: str) -> None:
    text = pile * (PILE // len(pile))
    tries = [(parse_anything, prefix + text + end) for prefix in PREFIXES for end in ("", '("')]
    tries += [(parse, text) for parse in TEXT_PARSERS[-5:]]
    for parse, tried in tries:
        assert cpu_s(partial(_refusal, parse, tried), enough=1.0) < 1.0, tried[:20]


# --- bodies ----------------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


@given(
    rows=st.sets(texts, max_size=4).flatmap(
        lambda keys: st.lists(st.fixed_dictionaries(dict.fromkeys(keys, json_values)), max_size=4)
    ),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
    separators=st.sampled_from([None, (",", ":")]),
)
@few
def test_rows_arrive_as_they_were_sent(
    rows: list[dict[str, Any]], ascii_only: bool, indent: int | None, separators: tuple[str, str] | None
) -> None:
    sent = json.dumps(rows, ensure_ascii=ascii_only, indent=indent, separators=separators)
    payload = parse_insert(sent.encode())
    assert payload.text == sent
    assert payload.columns == (tuple(sorted(rows[0])) if rows else ())
    assert payload.rows == len(rows)


def acceptable(body: bytes) -> bool:
    """Whether a body is what we say we take: an oracle with Python's own reader."""

    def refuse(_: str) -> Any:
        raise ValueError

    def sound(value: Any, depth: int) -> bool:
        if isinstance(value, str):
            return "\0" not in value and value.encode("utf-16", "surrogatepass").decode("utf-16", "ignore") == value
        if isinstance(value, Pairs):
            return depth <= 32 and all(sound(key, 0) and sound(item, depth + 1) for key, item in value)
        return not isinstance(value, list) or (depth <= 32 and all(sound(item, depth + 1) for item in value))

    try:
        found = json.loads(body.decode(), object_pairs_hook=Pairs, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    rows = [found] if isinstance(found, Pairs) else found
    if not isinstance(rows, list) or not all(isinstance(row, Pairs) and sound(row, 1) for row in rows):
        return False
    keys = [[key for key, _ in row] for row in rows]
    return all(len(set(row)) == len(row) and set(row) == set(keys[0]) for row in keys)


class Pairs(list[Any]):
    """An object with every key it was given."""


@given(
    row=st.dictionaries(st.sampled_from(["a", "b", "é", '"', "%b"]), json_values, max_size=3),
    count=st.integers(0, 3),
    spaced=st.booleans(),
    cuts=st.lists(
        st.tuples(
            st.integers(0, 400),
            st.integers(0, 3),
            st.sampled_from(
                [
                    b"",
                    b"\xff",
                    b"\x00",
                    b"[",
                    b"]",
                    b"{",
                    b"}",
                    b'"',
                    b",",
                    b":",
                    b"\\",
                    b"\\u0000",
                    b"\\ud800",
                    b"NaN",
                    b'"a":1,',
                    b'"a": 1, ',
                    b"[" * 40,
                    b" ",
                ]
            ),
        ),
        max_size=2,
    ),
)
@few
def test_a_body_is_taken_exactly_when_it_is_sound(
    row: dict[str, Any], count: int, spaced: bool, cuts: list[tuple[int, int, bytes]]
) -> None:
    separators = None if spaced else (",", ":")
    body = json.dumps([row] * count if count else row, ensure_ascii=False, separators=separators).encode()
    for at, size, insert in cuts:
        body = body[: at % (len(body) + 1)] + insert + body[at % (len(body) + 1) + size :]
    try:
        parse_insert(body)
        taken = True
    except BodyInvalid:
        taken = False
    assert taken == acceptable(body)


@given(body=st.one_of(st.binary(max_size=60), hostile.map(lambda text: text.encode("utf-8", "surrogatepass"))))
@few
def test_hostile_bodies_are_refused_and_nothing_else(body: bytes) -> None:
    for parse in (parse_insert, parse_update, parse_call):
        for kind in ("json", "csv", "form", "text", "bytes"):
            try:
                text = parse(body, kind).text  # type: ignore[arg-type]
            except QueryError:
                continue
            text.encode()
            assert "\0" not in text
