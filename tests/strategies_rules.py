"""Rules as an author would write them, rows with every awkward value, callers of every sort."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from mbaas.core.identity import ANON, Identity
from mbaas.core.schema.catalog import Catalog, Collection, Rules
from tests.sample import ANA, BEN, CAT, field

THINGS = Collection(
    name="things",
    key=("id",),
    fields=(
        field("id", "uuid", required=True), field("owner", "uuid"), field("title", "text"), field("other", "text"),
        field("n", "int"), field("big", "bigint"), field("amount", "numeric"), field("price", "numeric(8,2)"),
        field("ratio", "float"), field("flag", "bool"), field("at", "timestamptz"), field("until", "timestamptz"),
        field("on_day", "date"), field("clock", "time"), field("span", "interval"), field("tags", "text[]"),
        field("nums", "int[]"), field("meta", "json"),
    ),
)  # fmt: skip
SHARES = Collection(
    name="shares",
    key=("id",),
    fields=(
        field("id", "int", required=True), field("thing", "uuid"), field("member", "uuid"), field("label", "text"),
        field("n", "int"), field("live", "bool"),
    ),
)  # fmt: skip
CATALOG = Catalog(collections={"things": THINGS, "shares": SHARES})

UUIDS = (ANA, BEN, CAT)
TEXTS = (
    "",
    "a",
    "A",
    "ab",
    "b a ",
    " é",
    "É",
    "İi",
    "straße",
    "STRASSE",
    "a_b",
    "100%",
    "back\\",
    "it's",
    "-- ;",
    "😀",
    "{1}",
)
DATES = ("2024-02-29", "2024-03-01", "1999-12-31", "infinity")
TIMES = ("00:00:00", "09:30:00.5", "23:59:59.999999")
SPANS = ("1 day", "-1 days", "24:00:00", "1 mon", "30 days", "1 year 2 mons -3 days 04:05:06.7", "00:00:00")
INSTANTS = (
    "2024-02-29T12:00:00.5+00:00", "2024-02-29T12:00:00.55+00:00", "2024-02-29T12:00:00+00:00",
    "1969-12-31T23:59:59.999999+00:00", "2024-03-31T00:00:00+00:00", "infinity", "-infinity",
)  # fmt: skip
NUMBERS = ("0", "1", "1.5", "1.50", "-2.5", "123456789012345678901234567890.5", "NaN", "0.1")
DOUBLES = (0.0, 1.0, 0.1, -2.5, 1e300, 1e-7, "NaN", "Infinity", "-Infinity")
DOCUMENTS: tuple[Any, ...] = (
    {}, [], {"a": 1}, {"a": 1.0, "b": None}, {"a": {"b": ["x", "y", 1.10]}}, ["a", 1, None], "a", 1, 0.0000001, True,
    {"a": True}, {"a": "1"}, {"b": [], "aa": 2, "c": "é\n\"\\"}, [["x"], {"a": 1}], {"a": [1, 2]},
)  # fmt: skip
_COMPARISONS = ("=", "<>", "!=", "<", "<=", ">", ">=", "is distinct from", "is not distinct from")
_EQUAL = ("=", "<>", "is distinct from", "is not distinct from")


def _maybe(values: Any) -> SearchStrategy[Any]:
    return st.one_of(st.none(), st.sampled_from(values))


_ROW = st.fixed_dictionaries(
    {
        "owner": _maybe(UUIDS), "title": _maybe(TEXTS), "other": _maybe(TEXTS), "n": _maybe((-1, 0, 1, 2, 40)),
        "big": _maybe((0, 1, 2, 3_000_000_000)), "amount": _maybe(NUMBERS), "price": _maybe(("1.00", "1.50", "-0.01")),
        "ratio": _maybe(DOUBLES), "flag": _maybe((True, False)), "at": _maybe(INSTANTS), "until": _maybe(INSTANTS),
        "on_day": _maybe(DATES), "clock": _maybe(TIMES), "span": _maybe(SPANS),
        "tags": st.one_of(st.none(), st.lists(_maybe(TEXTS[:6]), max_size=3)),
        "nums": st.one_of(st.none(), st.lists(_maybe((0, 1, 2)), max_size=3)), "meta": _maybe(DOCUMENTS),
    }
)  # fmt: skip
_SHARE = st.fixed_dictionaries(
    {
        "member": _maybe(UUIDS), "label": _maybe(TEXTS), "n": _maybe((0, 1, 2)), "live": _maybe((True, False)),
        "thing": st.one_of(st.none(), st.integers(0, 5)),
    }
)  # fmt: skip


def thing_id(number: int) -> str:
    return f"20000000-0000-4000-8000-{number:012}"


@st.composite
def tables(draw: DrawFn, most: int = 8) -> dict[str, list[dict[str, Any]]]:
    """Rows of both collections, for ``json_populate_recordset``."""
    things = [
        {"id": thing_id(number), **row} for number, row in enumerate(draw(st.lists(_ROW, min_size=1, max_size=most)))
    ]
    shares = [
        {**row, "id": number, "thing": None if row["thing"] is None else thing_id(row["thing"])}
        for number, row in enumerate(draw(st.lists(_SHARE, max_size=4)))
    ]
    return {"things": things, "shares": shares}


_CLAIMS = st.fixed_dictionaries(
    {"sub": st.sampled_from((*UUIDS, ANA.upper(), "not-a-uuid", ANA.replace("-", ""), "{" + ANA + "}", 7, None))},
    optional={
        "email": st.sampled_from(("a", "ana@example.com", None, 5)),
        "aal": st.sampled_from(("aal1", "aal2", "", None)),
        "org": st.sampled_from(("a", 1, None, {"a": 1}, ["a", 1])),
        "app_metadata": st.sampled_from(
            (
                {},
                {"roles": ["a", "b"], "org": "a"},
                {"roles": [{"x": 1}]},
                {"roles": {"a": True}},
                {"roles": "a"},
                {"roles": ["it's", None, 1]},
                {"roles": []},
                {"roles": None},
                None,
                "a",
            )
        ),
    },
)
IDENTITIES = st.one_of(
    st.just(ANON),
    _CLAIMS.map(lambda claims: Identity(role="authenticated", claims={"role": "authenticated", **claims})),
)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class _Author:
    """One rule being written. inner: the alias of a sub-select over shares, when within one."""

    def __init__(self, draw: DrawFn) -> None:
        self._draw = draw
        self._aliases: list[str] = []

    def pick(self, *choices: Any) -> Any:
        return self._draw(st.sampled_from(choices))

    def boolean(self, depth: int) -> str:
        if depth <= 0 or self.pick(*range(5)) == 0:
            return str(self.pick(self._comparison, self._pattern, self._array, self._json, self._simple)(depth))
        return str(
            self.pick(
                self._both, self._both, self._not, self._is, self._comparison, self._case, self._among, self._select,
                self._select,
            )(depth - 1)
        )  # fmt: skip

    def _simple(self, depth: int) -> str:
        return str(
            self.pick(
                "flag",
                "true",
                "false",
                "null",
                "coalesce(flag, false)",
                "things.flag",
                "auth.has_role('a')",
                "auth.has_role('it''s')",
            )
        )

    def _both(self, depth: int) -> str:
        left, right, word = self.boolean(depth), self.boolean(depth), self.pick("and", "or")
        return str(self.pick(f"{left} {word} {right}", f"({left}) {word} ({right})", f"({left} {word} {right})"))

    def _not(self, depth: int) -> str:
        return str(self.pick("not {}", "not ({})")).format(self.boolean(depth))

    def _is(self, depth: int) -> str:
        what = self.pick("is true", "is not true", "is false", "is not false", "is null", "is not null", "is unknown")
        return f"({self.boolean(depth)}) {what}"

    def _case(self, depth: int) -> str:
        otherwise = self.pick("", f" else {self.boolean(depth)}")
        then = self.boolean(depth)
        if then == "null" and otherwise in ("", " else null"):  # which would be a text
            then = "null::boolean"
        return f"(case when {self.boolean(depth)} then {then}{otherwise} end) is not distinct from true"

    def _comparison(self, depth: int) -> str:
        kind = self.pick("uuid", "text", "text", "number", "number", "instant", "date", "time", "span", "json", "bool")
        op = self.pick(*(_EQUAL if kind == "json" else _COMPARISONS))
        left, right = self.value(kind, depth), self.value(kind, depth)
        if kind in {"uuid", "text", "number", "date", "instant"} and self.pick(True, False, False):
            low, high = self.value(kind, depth), self.value(kind, depth)
            return f"{left} {self.pick('between', 'not between')} {low} and {high}"
        return f"{left} {op} {right}"

    def _among(self, depth: int) -> str:
        kind = self.pick("uuid", "text", "number", "date", "json")
        items = ", ".join(self.value(kind, depth) for _ in range(self.pick(1, 2, 3)))
        return f"{self.value(kind, depth)} {self.pick('in', 'not in')} ({items})"

    def _pattern(self, depth: int) -> str:
        pattern = self.pick(
            "'%'", "'a%'", "'%a'", "'_'", "'a\\_b'", "'%S%e'", "'é'", "'I%'", "''", "'100\\%'", "'%' || 'b'"
        )
        return f"{self.value('text', depth)} {self.pick('like', 'ilike', 'not like', 'not ilike')} {pattern}"

    def _array(self, depth: int) -> str:
        return str(
            self.pick(
                f"{self.value('text', depth)} {self.pick('=', '<>', '<', '>=')} {self.pick('any', 'all')}(tags)",
                f"{self.value('number', depth)} {self.pick('=', '<>', '<')} {self.pick('any', 'all')}(nums)",
                f"tags {self.pick('@>', '<@', '&&', '=', '<>')} array['a', {self.value('text', 0)}]",
                f"nums {self.pick('@>', '<@', '&&', '=')} array[1, n]",
                "tags = array[]::text[]",
                f"{self.value('text', depth)} {self.pick('like', 'ilike')} any(array['a%', '_'])",
            )
        )

    def _json(self, depth: int) -> str:
        document = self.pick('{"a": 1}', "[]", '["a"]', '"a"', "1", '{"a": {"b": ["x"]}}', "{}", "null", '{"a": []}')
        return str(
            self.pick(
                f"{self.value('json', depth)} {self.pick('@>', '<@', '=')} '{document}'",
                f"{self.value('json', depth)} ? {self.value('text', 0)}",
                "meta ? 'a'",
            )
        )

    def _select(self, depth: int) -> str:
        alias = f"s{len(self._aliases)}"
        own = self.pick(False, False, True)
        columns = {"uuid": "owner", "text": "title"} if own else {"uuid": "member", "text": "label"}
        table = "things" if own else "shares"
        link = self.pick(
            f"{alias}.{columns['uuid']} = things.owner", f"{alias}.n = things.n", f"{alias}.{columns['uuid']} = auth.uid()",
            f"{alias}.{'id' if own else 'thing'} = things.id", f"{alias}.{columns['text']} > things.title",
        )  # fmt: skip
        self._aliases.append(alias)
        where = f" where {link}{self.pick('', f' and {alias}.n = 1', f' or {self.boolean(min(depth, 1))}')}"
        self._aliases.pop()
        source = f"from {table} {self.pick('as ', '')}{alias}{self.pick(where, where, '')}"
        return str(
            self.pick(
                f"exists (select 1 {source})",
                f"not exists (select * {source})",
                f"owner {self.pick('in', 'not in')} (select {alias}.{columns['uuid']} {source})",
                f"{self.value('text', 0)} in (select {alias}.{columns['text']} {source})",
                f"(select {alias}.{columns['text']} from {table} {alias} where {alias}.id = {'things.id' if own else '0'}) "
                f"= {self.value('text', 0)}",
            )
        )

    def value(self, kind: str, depth: int) -> str:
        if depth > 0 and kind in {"text", "number", "instant", "date", "json"} and self.pick(True, False):
            parts = [self.value(kind, depth - 1) for _ in range(2)]
            if kind in {"instant", "date"} and parts[0].startswith("'"):  # bare, it would be an interval, or a text
                parts[0] = {"instant": "timestamptz ", "date": "date "}[kind] + parts[0]
            return str(self.pick(*_MADE[kind])).format(*parts, n=self.pick("n", "1", "0"), span=self.pick(*SPANS))
        return str(self.pick(*_VALUES[kind]))


_VALUES: dict[str, tuple[str, ...]] = {
    "uuid": ("owner", "id", "things.owner", "auth.uid()", f"'{ANA}'", f"'{BEN.upper()}'", f"'{CAT}'::uuid", "null"),
    "text": (
        "title", "other", "things.title", "auth.role()", "auth.email()", "auth.aal()", "(meta ->> 'a')", "(meta ->> 0)",
        "(auth.jwt() ->> 'sub')", "(auth.claim('app_metadata.org') ->> 0)", *map(quoted, TEXTS[:-1]),
    ),
    "number": ("n", "big", "amount", "price", "ratio", "1", "0", "1.5", "-1", "length(title)", "3000000000"),
    "instant": ("at", "until", "now()", "current_timestamp", "'2024-02-29 12:00:00+00'", "timestamptz '2024-03-31'"),
    "date": ("on_day", "current_date", "'2024-02-29'", "date '2024-03-01'"),
    "time": ("clock", "'09:30'", "'23:59:59.999999'::time"),
    "span": ("span", "interval '30 days'", "interval '1 month'", "'1 day'::interval", "interval '24 hours'"),
    "json": (
        "meta", "(meta -> 'a')", "(meta -> 0)", "(meta -> 1)", "(meta -> 'a' -> 'b')", "auth.jwt()",
        "auth.claim('org')", "auth.claim('app_metadata.roles')", "auth.claim('app_metadata.roles.0')", "'{\"a\": 1}'::jsonb",
        "'[1.0]'::jsonb",
    ),
    "bool": ("flag", "true", "false", "(n = 1)", "(flag is null)"),
}  # fmt: skip
_MADE: dict[str, tuple[str, ...]] = {
    "text": ("lower({0})", "upper({0})", "trim({0})", "trim({0}, 'a ')", "({0} || {1})", "coalesce({0}, {1})",
             "nullif({0}, {1})", "n::text", "id::text", "meta::text", "flag::text", "price::text", "on_day::text",
             "case when flag then {0} else {1} end", "(meta -> 'a')::text"),
    "number": ("{0} + {1}", "{0} - {1}", "{0} * {1}", "abs({0})", "coalesce({0}, {1})", "-n", "({0} - {1}) * 2",
               "price::int", "n::numeric", "amount::float", "'7'::int"),
    "instant": ("({0} + interval '{span}')", "({0} - interval '{span}')", "coalesce({0}, {1})"),
    "date": ("(on_day + {n})", "(current_date - {n})", "coalesce({0}, {1})", "at::date"),
    "json": ("coalesce({0}, {1})", "({0} -> 'a')"),
}  # fmt: skip


@st.composite
def rules(draw: DrawFn) -> str:
    """The text of one rule over THINGS."""
    return _Author(draw).boolean(draw(st.integers(0, 3)))


def with_rule(text: str) -> Catalog:
    """Both collections, the rule being things' select rule; nobody may read shares."""
    ruled = Collection(name="things", key=("id",), fields=THINGS.fields, rules=Rules(select=text))
    return Catalog(collections={"things": ruled, "shares": SHARES})
