"""Rows on their way out: a plan's filters, order, embeds and aggregates over what the caller may see.

Every collection is named by ``visible`` only. A filter of the caller's that can fail on some value stands outside of a
fence (``offset 0``) that holds the rule, so that no hidden row is ever given to it.

Aliases: ``r0`` is a row of the collection, ``r1`` one of embed ``e1``, ``m1`` one of its junction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from mbaas.core.expr.types import FALSE, TRUE, And, Claim, Column, Expr
from mbaas.core.expr.walk import own_columns
from mbaas.core.identity import Identity
from mbaas.core.plan.authorize import AuthorizedRows, Visible
from mbaas.core.plan.types import (
    AggregateOutput,
    CallPlan,
    Embed,
    EmbedOutput,
    FieldOutput,
    Order,
    Output,
    ReadPlan,
    SpreadOutput,
    computed_by,
    embed_test,
    tested_embed,
)
from mbaas.core.schema.catalog import Function
from mbaas.core.sql.expressions import may_raise, render_expr
from mbaas.core.sql.fragment import Fragment, concat, identifier, join, quote, quote_text, sql, value
from mbaas.core.sql.keyset import Term, behind

ROOT = "r0"

_NOTHING = Fragment(())


def of(alias: str) -> Callable[[Column], Fragment]:
    """Columns of the row that has this alias."""
    return lambda column: Fragment((f"{alias}.{quote(column.name)}",))


class Rows:
    """Renders rows for one caller."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity

    def expr(self, expr: Expr, column: Callable[[Column], Fragment]) -> Fragment:
        return render_expr(expr, column=column, identity=self.identity)

    def is_caller(self) -> Fragment:
        """For a statement without rules, since policies hold it: run as anybody else it finds and writes nothing."""
        return concat("current_user = ", quote_text(self.identity.role))

    def visible(self, visible: Visible, alias: str, source: Fragment | None = None) -> Fragment:
        """A relation in parentheses. source: other rows of that collection, as a write returns them."""
        column = of(alias)
        columns = sql("*")
        if visible.masks is not None:
            columns = join(", ", (self.masked(visible.collection, name, mask, column) for name, mask in visible.masks))
        table = identifier("public", visible.collection) if source is None else source
        if visible.bare:
            return table
        where = _NOTHING if visible.rule == TRUE else concat(" where ", self.expr(visible.rule, column))
        return concat("(select ", columns, " from ", table, f" {alias}", where, ")")

    def masked(self, collection: str, name: str, mask: Expr, column: Callable[[Column], Fragment]) -> Fragment:
        """A column for a select list, null where its rule does not hold."""
        plain = column(Column(name))
        if mask == TRUE:
            return plain
        if mask == FALSE:
            return concat(_null(collection, name), " as ", identifier(name))
        return concat("case when ", self.expr(mask, column), " then ", plain, " end as ", identifier(name))

    def select(
        self, rows: AuthorizedRows, alias: str, *, source: Fragment | None = None, link: Fragment | None = None
    ) -> Fragment:
        """The select statement of one level: its outputs under their keys, in order, cut to the window.

        link: what ties a row to the one it is embedded in.
        """
        plan = rows.plan
        relation, where = self.matching(rows, alias, source=source, link=link)
        if plan.keyset is not None:
            return concat("select j.* from ", self.page(rows, alias, source=source))
        laterals = self._laterals(rows, alias)
        outputs = join(", ", self._outputs(rows, alias))
        ending = concat(self._order(rows, alias), window_of(plan))
        if plan.grouped:
            return concat(
                "select ", outputs, " from ", relation, laterals, where, _group(plan), self._having(rows, alias), ending
            )
        if not laterals.parts:
            return concat("select ", outputs, " from ", relation, where, ending)
        cut = concat("(select ", alias, ".* from ", relation, where, ending, ") ", alias)
        return concat("select ", outputs, " from ", cut, laterals)

    def _having(self, rows: AuthorizedRows, alias: str) -> Fragment:
        """The HAVING clause. It sees what the rule and the filters left."""
        plan = rows.plan
        if plan.having == TRUE:
            return _NOTHING
        outputs = dict(plan.columns())

        def aggregated(column: Column) -> Fragment:
            output = outputs[column.name]
            assert isinstance(output, AggregateOutput), "resolve saw to that"  # noqa: S101
            if output in plan.outputs:
                argument = (
                    sql("*") if output.argument is None else self.expr(output.argument, self.columns(rows, alias))
                )
            else:  # lifted
                spread = next(
                    one.alias
                    for one in plan.outputs
                    if isinstance(one, SpreadOutput) and output in dict(plan.embed(one.alias).plan.columns()).values()
                )
                argument = concat(spread, ".", identifier(column.name))
            return concat("(", _computing(output, argument), ")")

        return concat(" having ", self.expr(plan.having, aggregated))

    def page(self, rows: AuthorizedRows, alias: str, *, source: Fragment | None = None) -> Fragment:
        """What stands behind FROM for a page of a keyset: its rows under ``alias``, and their outputs as ``j``."""
        ending = concat(self._order(rows, alias), window_of(rows.plan))
        parts = [
            concat("select ", alias, ".* from ", *self.matching(rows, alias, source=source, behind=condition), ending)
            for condition in self._behind(rows, alias)
        ]
        cut = parts[0]
        if len(parts) > 1:
            together = join(" union all ", (concat("(", part, ")") for part in parts))
            cut = concat("select ", alias, ".* from (", together, ") ", alias, ending)
        outputs = join(", ", self._outputs(rows, alias))
        laterals = self._laterals(rows, alias)
        return concat("(", cut, ") ", alias, laterals, " cross join lateral (select ", outputs, ") j")

    def place(self, rows: AuthorizedRows, alias: str) -> Fragment:
        """An aggregate over ``page``: what the terms of the order are in its last row, as a JSON array of texts."""
        items = (concat("(", self._item(term, rows, alias), ")::text") for term in rows.plan.order)
        return concat("(json_agg(json_build_array(", join(", ", items), ")) -> -1)::text")

    def _behind(self, rows: AuthorizedRows, alias: str) -> list[Fragment | None]:
        """Conditions for parts of the page that are read one by one; ``None``: all rows."""
        plan = rows.plan
        assert plan.keyset is not None, "a page is cut by a keyset"  # noqa: S101
        if plan.keyset.after is None:
            return [None]
        terms = [
            Term(
                item=self._item(term, rows, alias),
                after=after,
                type=term.type,
                descending=term.descending,
                nulls_first=term.nulls == "first" or (term.nulls is None and term.descending),
                filled=term.embed is None and isinstance(term.expr, Column) and term.expr.name in plan.keyset.filled,
            )
            for term, after in zip(plan.order, plan.keyset.after, strict=True)
        ]
        return [*behind(terms)] or [sql("false")]

    def count(
        self, rows: AuthorizedRows, alias: str, *, source: Fragment | None = None, most: int | None = None
    ) -> Fragment:
        """The select statement of how many rows there are regardless of the window. most: where counting stops."""
        if rows.plan.grouped or most is not None:
            stop = "" if most is None else f" limit {most:d}"
            return concat("select count(*) from (", self.counted(rows, alias, source=source), stop, ") c")
        relation, where = self.matching(rows, alias, source=source)
        return concat("select count(*) from ", relation, where)

    def counted(self, rows: AuthorizedRows, alias: str, *, source: Fragment | None = None) -> Fragment:
        """The select statement of the rows themselves, regardless of the window, without what is in them."""
        if rows.plan.grouped:
            plan = msgspec.structs.replace(rows.plan, order=(), limit=None, offset=0)
            return self.select(msgspec.structs.replace(rows, plan=plan), alias, source=source)
        relation, where = self.matching(rows, alias, source=source)
        return concat("select 1 from ", relation, where)

    def matching(
        self,
        rows: AuthorizedRows,
        alias: str,
        *,
        source: Fragment | None = None,
        link: Fragment | None = None,
        behind: Fragment | None = None,
    ) -> tuple[Fragment, Fragment]:
        """The visible rows that meet the filters: what stands behind FROM, and the WHERE clause.

        behind: one more condition, over what the order reads.
        """
        column = self.columns(rows, alias)
        fenced = rows.visible is not None and rows.visible.rule != TRUE
        safe: list[Fragment] = [] if link is None else [link]
        if rows.as_caller:
            safe.append(self.is_caller())
        risky: list[Fragment] = []
        for condition in _conditions(rows.plan):
            kept = risky if fenced and _may_raise(condition, rows) else safe
            kept.append(self.expr(condition, column))
        if behind is not None:
            (risky if fenced and any(_order_may_raise(term, rows) for term in rows.plan.order) else safe).append(behind)
        if rows.visible is not None:
            relation = self.visible(rows.visible, alias, source)
        else:
            assert source is not None, "rows of no collection have a source"  # noqa: S101
            relation = source
        if risky:
            relation = concat("(select ", alias, ".* from ", relation, " ", alias, _where(safe), " offset 0)")
            safe = risky
        return concat(relation, f" {alias}"), _where(safe)

    def target(self, rows: AuthorizedRows) -> Fragment:
        """The WHERE clause that picks rows to write from a table aliased ``r0``: visible, and meeting the filters."""
        visible = rows.visible
        assert visible is not None, "a write has a collection"  # noqa: S101
        masks = {} if visible.masks is None else {name: mask for name, mask in visible.masks if mask != TRUE}
        plain = of(ROOT)

        def column(column: Column) -> Fragment:
            if (name := computed_by(column)) is not None:
                return self._computed(rows, name, masked)
            return masked(column)

        def masked(column: Column) -> Fragment:
            mask = masks.get(column.name)
            found = plain(column)
            if mask == FALSE:
                return _null(visible.collection, column.name)
            return found if mask is None else concat("case when ", self.expr(mask, plain), " then ", found, " end")

        rule = None if visible.rule == TRUE else self.expr(visible.rule, plain)
        parts = [] if rule is None else [rule]
        if rows.as_caller:
            parts.append(self.is_caller())
        for condition in _conditions(rows.plan):
            found = self.expr(condition, column)
            if rule is not None and _may_raise(condition, rows):
                # PostgreSQL may ask conditions in any order, the branches of a CASE only in this one.
                found = concat("case when ", rule, " then ", found, " else false end")
            parts.append(found)
        return _where(parts)

    def columns(self, rows: AuthorizedRows, alias: str) -> Callable[[Column], Fragment]:
        """The columns of a row as it is seen, the virtual ones too."""
        plain = of(alias)
        if not rows.plan.embeds and not rows.plan.computed:
            return plain

        def column(column: Column) -> Fragment:
            if (name := computed_by(column)) is not None:
                return self._computed(rows, name, plain)
            embed = tested_embed(column)
            return plain(column) if embed is None else self._exists(rows, embed, alias)

        return column

    def _computed(self, rows: AuthorizedRows, name: str, column: Callable[[Column], Fragment]) -> Fragment:
        """What a function makes of the row as it is seen."""
        function = next(function for function in rows.plan.computed if function.name == name)
        call = self._call(function, rows, column)
        # What depends on the row alone asks nothing of the database, so that it does not matter who asks.
        return call if function.volatility == "immutable" or rows.as_caller else self._as_caller(call)

    def _call(self, function: Function, rows: AuthorizedRows, column: Callable[[Column], Fragment]) -> Fragment:
        """A function of the row. A field that is hidden from the caller is null in it."""
        assert rows.visible is not None, "the row is a collection's"  # noqa: S101
        masks = rows.visible.masks
        shown = function.row if masks is None else {name for name, _ in masks}
        cells = join(", ", (column(Column(name)) if name in shown else sql("null") for name in function.row))
        row = concat("row(", cells, ")::", identifier("public", rows.visible.collection))
        return concat(identifier("public", function.name), "(", row, ")")

    def _as_caller(self, found: Fragment) -> Fragment:
        """The same, found out in the caller's role and with its claims: CASE and the argument keep the order."""
        role = quote_text(self.identity.role)
        claims = self.expr(Claim("jwt"), of(ROOT))
        return concat("case when mbaas.enter(", role, ", ", claims, ") then mbaas.leave(", found, ") end")

    def _exists(self, rows: AuthorizedRows, name: str, alias: str) -> Fragment:
        embed = rows.plan.embed(name)
        relation, where = self._linked(rows, embed, alias)
        plan = embed.plan
        window = window_of(plan) if plan.offset or plan.limit == 0 else _NOTHING
        return concat("exists (select 1 from ", relation, where, window, ")")

    def _linked(self, rows: AuthorizedRows, embed: Embed, alias: str) -> tuple[Fragment, Fragment]:
        source, link = self._tied(rows, embed, alias)
        return self.matching(rows.embeds[embed.alias], _row_alias(embed), source=source, link=link)

    def _tied(self, rows: AuthorizedRows, embed: Embed, alias: str) -> tuple[Fragment | None, Fragment | None]:
        """Where the embed's rows come from, ``None``: their collection, and what ties them to the row of ``alias``."""
        function = embed.relation.computed
        if function is None:
            return None, self._link(rows, embed, alias)
        # In the select list, where PostgreSQL never puts the function's body in place of the call: it runs as a whole.
        call = self._call(function, rows, of(alias))
        found = concat("(select json_agg(f.v) from (select ", call, " as v offset 0) f where not (f.v is null))")
        target = concat("null::", identifier("public", embed.relation.target))
        called = found if rows.as_caller else self._as_caller(found)
        return concat("json_populate_recordset(", target, ", ", called, ")"), None

    def _link(self, rows: AuthorizedRows, embed: Embed, alias: str) -> Fragment:
        """What ties the embed's rows to the row of ``alias``."""
        child = _row_alias(embed)
        junction = embed.relation.junction
        if junction is None:
            return _equal(child, alias, ((target, source) for source, target in embed.relation.columns))
        between = f"m{embed.alias[1:]}"
        relation = self.visible(rows.junctions[embed.alias], between)
        here = _equal(between, alias, ((middle, source) for source, middle in junction.source_columns))
        there = _equal(between, child, junction.target_columns)
        return concat("exists (select 1 from ", relation, f" {between} where ", here, " and ", there, ")")

    def _laterals(self, rows: AuthorizedRows, alias: str) -> Fragment:
        if not rows.plan.embeds:
            return _NOTHING
        found: list[Fragment] = []
        for output in rows.plan.outputs:
            if isinstance(output, EmbedOutput | SpreadOutput):
                embed = rows.plan.embed(output.alias)
                source, link = self._tied(rows, embed, alias)
                level = self.select(rows.embeds[embed.alias], _row_alias(embed), source=source, link=link)
                found.append(
                    concat(" left join lateral (", _collected(output, embed, level), f") {embed.alias} on true")
                )
        return join("", found)

    def _outputs(self, rows: AuthorizedRows, alias: str) -> list[Fragment]:
        found: list[Fragment] = []
        plain: list[str] = []  # most outputs are columns, and they are the same text every time
        for output in rows.plan.outputs:
            if isinstance(output, FieldOutput) and isinstance(output.expr, Column) and not computed_by(output.expr):
                name, key = output.expr.name, output.key
                plain.append(f"{alias}.{quote(name)}" if name == key else f"{alias}.{quote(name)} as {quote(key)}")
                continue
            if plain:
                found.append(sql(", ".join(plain)))
                plain = []
            found.extend(self._output(output, rows, alias))
        if plain:
            found.append(sql(", ".join(plain)))
        return found

    def _output(self, output: Output, rows: AuthorizedRows, alias: str) -> Iterator[Fragment]:
        if isinstance(output, FieldOutput):
            yield concat(self.expr(output.expr, self.columns(rows, alias)), " as ", identifier(output.key))
        elif isinstance(output, AggregateOutput):
            column = self.columns(rows, alias)
            if rows.plan.grouped:
                argument = sql("*") if output.argument is None else self.expr(output.argument, column)
                yield _aggregate(output, argument)
            else:  # lifted
                argument = sql("1") if output.argument is None else self.expr(output.argument, column)
                yield concat(argument, " as ", identifier(output.key))
        elif isinstance(output, EmbedOutput):
            embed = rows.plan.embed(output.alias)
            lateral = f"coalesce({embed.alias}.value, '[]')" if not embed.relation.to_one else f"{embed.alias}.value"
            yield concat(lateral, "::jsonb as " if rows.plan.grouped else " as ", identifier(output.key))
        else:
            embed = rows.plan.embed(output.alias)
            for key, lifted in dict(embed.plan.columns()).items():
                found = concat(output.alias, ".", identifier(key))
                if rows.plan.grouped and isinstance(lifted, AggregateOutput):
                    yield _aggregate(lifted, found)
                elif rows.plan.grouped and (isinstance(lifted, EmbedOutput) or not embed.relation.to_one):
                    yield concat(found, "::jsonb as ", identifier(key))  # json has no equality
                else:
                    yield found

    def _order(self, rows: AuthorizedRows, alias: str) -> Fragment:
        plan = rows.plan
        if not plan.order:
            return _NOTHING
        return concat(" order by ", join(", ", (self._term(term, rows, alias) for term in plan.order)))

    def _item(self, term: Order, rows: AuthorizedRows, alias: str) -> Fragment:
        """What a term of the order reads."""
        if term.embed is None:
            return self.expr(term.expr, self.columns(rows, alias))
        embed = rows.plan.embed(term.embed)
        relation, where = self._linked(rows, embed, alias)
        found = self.expr(term.expr, of(_row_alias(embed)))
        return concat("(select ", found, " from ", relation, where, " limit 1)")

    def _term(self, term: Order, rows: AuthorizedRows, alias: str) -> Fragment:
        nulls = "" if term.nulls is None else f" nulls {term.nulls}"
        ending = (" desc" if term.descending else "") + nulls
        if rows.plan.grouped and term.embed is None:
            for position, (_, output) in enumerate(rows.plan.columns(), 1):
                if output in rows.plan.outputs and isinstance(output, FieldOutput) and output.expr == term.expr:
                    return sql(f"{position}{ending}")
        return concat(self._item(term, rows, alias), ending)


def _null(collection: str, name: str) -> Fragment:
    """A null of the column's type, that needs no right to the column."""
    return concat("(null::", identifier("public", collection), ").", identifier(name))


def keys(plan: ReadPlan) -> tuple[str, ...]:
    """The keys of one row of the answer, in order."""
    return tuple(dict(plan.columns()))


def _conditions(plan: ReadPlan) -> Iterator[Expr]:
    if isinstance(plan.where, And):
        yield from plan.where.items
    elif plan.where != TRUE:
        yield plan.where
    for embed in plan.embeds:
        if embed.inner:
            yield embed_test(embed.alias)


def _may_raise(condition: Expr, rows: AuthorizedRows) -> bool:
    """Whether it can fail on some row, of this collection or of an embed that it tests."""
    if may_raise(condition):
        return True
    if not rows.plan.embeds and not rows.plan.computed:
        return False
    columns = [Column(name) for name in own_columns(condition)]
    if any(computed_by(column) is not None for column in columns):
        return True
    tested = (rows.plan.embed(alias) for column in columns if (alias := tested_embed(column)) is not None)
    return any(
        embed.relation.computed is not None
        or any(_may_raise(inside, rows.embeds[embed.alias]) for inside in _conditions(embed.plan))
        for embed in tested
    )


def _order_may_raise(term: Order, rows: AuthorizedRows) -> bool:
    """Whether comparing it with a caller's value can fail on some row, or only when there is one."""
    return term.embed is not None or term.type.startswith("text::") or _may_raise(term.expr, rows)


def _row_alias(embed: Embed) -> str:
    return f"r{embed.alias[1:]}"


def _collected(output: EmbedOutput | SpreadOutput, embed: Embed, level: Fragment) -> Fragment:
    """The rows of an embed as one row: a JSON value, or the columns that are lifted."""
    if isinstance(output, EmbedOutput):
        collect = "row_to_json" if embed.relation.to_one else "json_agg"
        return concat("select ", collect, "(j) as value from (", level, ") j")
    if embed.relation.to_one:
        return level
    lists = (
        concat("coalesce(json_agg(", identifier("j", key), "), '[]') as ", identifier(key)) for key in keys(embed.plan)
    )
    return concat("select ", join(", ", lists), " from (", level, ") j")


def _equal(left: str, right: str, pairs: Iterator[tuple[str, str]] | tuple[tuple[str, str], ...]) -> Fragment:
    return sql(" and ".join(f"{left}.{quote(one)} = {right}.{quote(other)}" for one, other in pairs))


def _where(conditions: list[Fragment]) -> Fragment:
    return concat(" where ", join(" and ", conditions)) if conditions else _NOTHING


def _aggregate(output: AggregateOutput, argument: Fragment) -> Fragment:
    return concat(_computing(output, argument), " as ", identifier(output.key))


def _computing(output: AggregateOutput, argument: Fragment) -> Fragment:
    cast = "" if output.cast is None else f"::{output.cast}"
    return concat(f"{output.function}(", argument, f"){cast}")


def _group(plan: ReadPlan) -> Fragment:
    """By position: an expression with a bound value would not be seen to be the same twice."""
    numbers = [
        str(number) for number, (_, output) in enumerate(plan.columns(), 1) if not isinstance(output, AggregateOutput)
    ]
    return sql(" group by " + ", ".join(numbers)) if numbers else _NOTHING


def window_of(plan: ReadPlan | CallPlan) -> Fragment:
    """The limit is part of the text, so that the planner knows it; offsets are many and bound."""
    limit = "" if plan.limit is None else f" limit {plan.limit:d}"
    if not plan.offset:
        return sql(limit) if limit else _NOTHING
    return concat(limit, " offset ", value(str(plan.offset), "bigint"))
