"""Rule text to ``Expr``: a closed part of SQL, every name looked up in the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import msgspec
from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from mbaas.core.errors import ConfigError, RuleError
from mbaas.core.expr import types as t
from mbaas.core.rules.check import check, require_boolean
from mbaas.core.schema.catalog import Catalog, Collection
from mbaas.core.schema.types import SCALARS, parse_type

MAX_LENGTH = 4000
MAX_DEPTH = 12  # brackets, case ... end, not not not
_MAX_SQUARE = 2  # sqlglot tries each one twice over: time doubles and doubles with their depth
_MAX_TREE = 100  # operators within operators: 1 + 1 + 1 ...
_BINARY: Mapping[type[exp.Expression], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=",
    exp.NullSafeNEQ: "is distinct from", exp.NullSafeEQ: "is not distinct from",
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.DPipe: "||", exp.Like: "like", exp.ILike: "ilike",
    exp.ArrayContainsAll: "@>", exp.ArrayContainedBy: "<@", exp.ArrayOverlaps: "&&", exp.JSONBContainsTopKey: "?",
}  # fmt: skip
_CALLS: Mapping[type[exp.Expression], str] = {
    exp.Lower: "lower", exp.Upper: "upper", exp.Length: "length", exp.Coalesce: "coalesce", exp.Nullif: "nullif",
    exp.Trim: "trim", exp.Abs: "abs", exp.StartsWith: "starts_with",
}  # fmt: skip
# What else sqlglot may have found in the text and we would lose.
_KEPT: Mapping[type[exp.Expression], frozenset[str]] = {
    exp.Column: frozenset({"this", "table"}), exp.Trim: frozenset({"this", "expression"}),
    exp.CurrentTimestamp: frozenset(), exp.CurrentDate: frozenset(), exp.Length: frozenset({"this"}),
    exp.Cast: frozenset({"this", "to"}), exp.TryCast: frozenset(), exp.Coalesce: frozenset({"this", "expressions"}),
    exp.Lower: frozenset({"this"}), exp.Upper: frozenset({"this"}), exp.Abs: frozenset({"this"}),
    exp.In: frozenset({"this", "expressions", "query", "negate"}), exp.Subquery: frozenset({"this"}),
    exp.Table: frozenset({"this", "alias"}), exp.TableAlias: frozenset({"this"}),
    exp.Between: frozenset({"this", "low", "high", "negate"}),
    exp.Array: frozenset({"expressions", "bracket_notation"}),
}  # fmt: skip
_OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.CASE})
_CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.END})
_PREFIXES = frozenset({TokenType.NOT, TokenType.DASH})
_CLAIMS = {"uid": "uid", "role": "role", "email": "email", "aal": "aal", "jwt": "jwt", "claim": "claim"}


def parse_rule(text: str, *, collection: Collection, catalog: Catalog) -> t.Expr:
    """The rule as an expression over a record of ``collection``. Raises RuleError saying what and where."""
    made, kind = _parse(text, collection, catalog)
    require_boolean(made, kind)
    return made


def parse_default(text: str, *, collection: Collection, catalog: Catalog) -> t.Expr:
    """A field's default in the same language, whatever its type. Raises RuleError when it is beyond that language."""
    return _parse(text, collection, catalog)[0]


def _parse(text: str, collection: Collection, catalog: Catalog) -> tuple[t.Expr, str | None]:
    if len(text) > MAX_LENGTH:
        raise RuleError(f"a rule has at most {MAX_LENGTH} characters", hint="move part of it into a generated field")
    try:
        tokens = Postgres().tokenize(text)
        _check_tokens(text, tokens)
        trees = [tree for tree in Postgres().parser().parse(tokens, text) if tree is not None]
        if len(trees) != 1:
            raise RuleError("a rule is exactly one expression", hint='"true" lets everyone in')
        return check(_Reader(catalog, collection).read(trees[0]), collection, catalog)
    except RecursionError:
        raise RuleError("a rule this deep cannot be read", hint="move part of it into a generated field") from None
    except SqlglotError as error:
        raise RuleError(_syntax(error, text), hint="a boolean SQL expression, as after WHERE") from None


def _check_tokens(text: str, tokens: list[Token]) -> None:
    """What would be lost or grow too deep on the way into a tree. Inside of a text anything goes."""
    depth = run = square = 0
    for token in tokens:
        if token.comments or token.token_type == TokenType.HINT:
            raise RuleError("a rule is one expression without comments", hint="comments go into mbaas.toml, behind #")
        if token.token_type == TokenType.SEMICOLON:
            raise RuleError("a rule is exactly one expression", hint="join conditions with and, or")
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        square += (token.token_type == TokenType.L_BRACKET) - (token.token_type == TokenType.R_BRACKET)
        if square > _MAX_SQUARE:
            raise RuleError(f"a rule nests at most {_MAX_SQUARE} square brackets", position=token.col)
        run = run + 1 if token.token_type in _PREFIXES else 0
        if max(depth, run) > MAX_DEPTH:
            raise RuleError(f"a rule nests at most {MAX_DEPTH} deep", position=token.col)
    if text.strip() and not tokens:
        raise RuleError("a rule is one expression without comments", hint="comments go into mbaas.toml, behind #")


def _syntax(error: Exception, text: str) -> str:
    details = getattr(error, "errors", None)
    if not details:
        return "this is no SQL expression"
    column = details[0].get("col") or 0
    return f"this is no SQL expression: stopped at character {column}\n    {text}\n    {' ' * max(0, column - 1)}^"


class _Reader:
    """One rule. scopes: alias to collection, innermost last; "" is the record the rule is about."""

    def __init__(self, catalog: Catalog, collection: Collection) -> None:
        self._catalog = catalog
        self._scopes: list[tuple[str, Collection]] = [("", collection)]
        self._depth = 0

    def read(self, node: Any) -> t.Expr:
        self._depth += 1
        if self._depth > _MAX_TREE:
            raise RuleError("a rule this deep cannot be read", hint="move part of it into a generated field")
        _must_keep(node)
        made = self._read(node)
        self._depth -= 1
        return made

    def _read(self, node: Any) -> t.Expr:
        if isinstance(node, exp.Paren):
            return self.read(node.this)
        if isinstance(node, exp.And):
            return t.And(tuple(self.read(item) for item in _chain(node, exp.And)))
        if isinstance(node, exp.Or):
            return t.Or(tuple(self.read(item) for item in _chain(node, exp.Or)))
        if isinstance(node, exp.Not):
            return t.Not(self.read(node.this))
        if isinstance(node, exp.Boolean):
            return t.Literal(bool(node.this))
        if isinstance(node, exp.Null):
            return t.Literal(None)
        if isinstance(node, exp.Literal):
            return t.Literal(str(node.this)) if node.is_string else _number(str(node.this))
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, exp.Dot):
            return self._claim(node)
        if isinstance(node, exp.Is):
            return self._is(node)
        if isinstance(node, exp.In):
            return self._in(node)
        if isinstance(node, exp.Exists):
            return t.Exists(self._select(node.this, output=False))
        if isinstance(node, exp.Subquery):
            return t.ScalarSelect(self._select(node.this))
        if isinstance(node, exp.Between):
            item = self.read(node.this)
            low, high = self.read(node.args["low"]), self.read(node.args["high"])
            both = t.And((t.Binary(">=", item, low), t.Binary("<=", item, high)))
            return t.Not(both) if node.args.get("negate") else both
        if isinstance(node, exp.Neg):
            return t.Binary("-", t.Literal(0), self.read(node.this))
        if isinstance(node, exp.Cast):
            return self._cast(node)
        if isinstance(node, exp.JSONExtract | exp.JSONExtractScalar):
            return self._json(node)
        if isinstance(node, exp.Array):
            return t.Array(tuple(self.read(item) for item in node.expressions))
        if isinstance(node, exp.Case):
            branches = tuple((self.read(branch.this), self.read(branch.args["true"])) for branch in node.args["ifs"])
            otherwise = node.args.get("default")
            if node.this is not None:
                raise RuleError("write CASE WHEN condition THEN ...", hint="the short form is not understood")
            return t.Case(branches, None if otherwise is None else self.read(otherwise))
        if isinstance(node, exp.CurrentTimestamp):
            return t.Call("now", ())
        if isinstance(node, exp.CurrentDate):
            return t.Call("current_date", ())
        if isinstance(node, exp.Interval) and isinstance(node.this, exp.Literal):
            unit = node.args.get("unit")
            return t.Literal(f"{node.this.this} {unit.name if unit else ''}".strip(), "interval")
        if type(node) in _BINARY:
            return self._binary(node)
        if type(node) in _CALLS:
            args = [node.this, *(node.expressions or []), *([node.expression] if node.args.get("expression") else [])]
            return t.Call(_CALLS[type(node)], tuple(self.read(item) for item in args))
        raise RuleError(f"a rule cannot use {_spelled(node)}", hint="docs/guides/rules.md lists what it can")

    def _binary(self, node: Any) -> t.Expr:
        op, left, right = _BINARY[type(node)], node.this, node.expression
        if isinstance(right, exp.Any) or (isinstance(right, exp.Anonymous) and right.name.lower() == "all"):
            quantified = right.expressions[0] if isinstance(right, exp.Anonymous) else right.this
            inner = quantified.this if isinstance(quantified, exp.Paren) else quantified
            if isinstance(inner, exp.Select | exp.Subquery):
                raise RuleError("any(select ...) is written as in (select ...)")
            word: Any = "any" if isinstance(right, exp.Any) else "all"
            return t.Quantified(op, self.read(left), word, self.read(inner))
        made = t.Binary(op, self.read(left), self.read(right))
        return t.Not(made) if node.args.get("negate") else made

    def _is(self, node: Any) -> t.Expr:
        right = node.expression
        what: Any = "null" if isinstance(right, exp.Null) else None
        if isinstance(right, exp.Boolean):
            what = "true" if right.this else "false"
        if what is None:
            raise RuleError(f"a rule cannot use {_spelled(node)}", hint="is null, is true, is false")
        return t.Is(self.read(node.this), what, bool(node.args.get("negate")))

    def _in(self, node: Any) -> t.Expr:
        item = self.read(node.this)
        query = node.args.get("query")
        made: t.Expr
        if query is not None:
            made = t.InSelect(item, self._select(query.this))
        else:
            made = t.In(item, tuple(self.read(part) for part in node.expressions))
        return t.Not(made) if node.args.get("negate") else made

    def _cast(self, node: Any) -> t.Expr:
        wanted = node.to.sql(dialect="postgres").lower()
        wanted = {"decimal": "numeric", "varchar": "text", "decimal[]": "numeric[]"}.get(wanted, wanted)
        try:
            spelled = wanted if wanted in SCALARS.values() else parse_type(wanted).sql
        except ConfigError as error:
            raise RuleError(f"there is no type {wanted!r} to cast to", hint=error.hint) from None
        return t.Cast(self.read(node.this), spelled)

    def _json(self, node: Any) -> t.Expr:
        base = self.read(node.this)
        as_text = isinstance(node, exp.JSONExtractScalar)
        path = node.expression
        steps = [step for step in getattr(path, "expressions", []) if not isinstance(step, exp.JSONPathRoot)]
        if len(steps) != 1 or not isinstance(steps[0].this, str | int):
            raise RuleError("a step into JSON is a key or an index", hint="meta -> 'a' ->> 'b'")
        return t.Json(base, steps[0].this, as_text)

    def _claim(self, node: Any) -> t.Expr:
        call = node.expression
        if node.this.name.lower() != "auth" or not isinstance(call, exp.Anonymous):
            raise RuleError(
                f"a rule cannot use {_spelled(node)}", hint="auth.uid(), role(), email(), aal(), claim('x')"
            )
        name = str(call.this).lower()
        arguments = call.expressions
        if name == "has_role":
            return _has_role(arguments)
        if name not in _CLAIMS:
            hint = "auth.uid(), role(), has_role('x'), email(), aal(), claim('x'), jwt()"
            raise RuleError(f"there is no auth.{name}()", hint=hint)
        kind: Any = _CLAIMS[name]
        if kind != "claim":
            if arguments:
                raise RuleError(f"auth.{name}() takes no argument")
            return t.Claim(kind)
        if len(arguments) != 1 or not isinstance(arguments[0], exp.Literal) or not arguments[0].is_string:
            raise RuleError("auth.claim() takes one path as text", hint="auth.claim('app_metadata.role')")
        return t.Claim("claim", str(arguments[0].this))

    def _column(self, node: Any) -> t.Expr:
        name, table = node.name, node.table
        if table:
            for alias, collection in reversed(self._scopes):
                if table in {alias, collection.name} and (alias == table or alias == ""):
                    return self._found(name, alias, collection)
            raise RuleError(f"{table!r} is neither this collection nor one of a sub-select")
        for alias, collection in reversed(self._scopes):
            if collection.field(name) is not None:
                return t.Column(name, alias)
        return self._found(name, *self._scopes[-1])

    def _found(self, name: str, alias: str, collection: Collection) -> t.Expr:
        if collection.field(name) is None:
            known = [field.name for field in collection.fields]
            near = get_close_matches(name, known, n=1)
            raise RuleError(
                f"{collection.name} has no field {name!r}", hint=f"did you mean {near[0]!r}?" if near else None
            )
        return t.Column(name, alias)

    def _select(self, node: Any, *, output: bool = True) -> t.Select:
        if not isinstance(node, exp.Select):
            raise RuleError("a sub-select is: select field from collection where ...")
        extra = [key for key, value in node.args.items() if value and key not in {"expressions", "from_", "where"}]
        table = node.args["from_"].this if node.args.get("from_") else None
        if extra or not isinstance(table, exp.Table) or table.args.get("db"):
            raise RuleError(
                "a sub-select is: select field from collection where ...", hint="no joins, groups or limits"
            )
        for part in (table, table.args.get("alias")):
            _must_keep(part)
        collection = self._catalog.collection(table.name)
        if collection is None:
            near = get_close_matches(table.name, list(self._catalog.collections), n=1)
            raise RuleError(
                f"there is no collection {table.name!r}", hint=f"did you mean {near[0]!r}?" if near else None
            )
        if collection.view:
            raise RuleError(
                f"{table.name!r} is a view", hint="a rule asks tables: it may be needed before the view is made"
            )
        alias = table.alias or table.name
        if any(alias == scope for scope, _ in self._scopes):
            raise RuleError(f"{alias!r} names two things", hint=f"from {table.name} as another_name")
        self._scopes.append((alias, collection))
        try:
            where = node.args.get("where")
            if output and len(node.expressions) != 1:
                raise RuleError("a sub-select gives exactly one field")
            outputs = [self.read(item) for item in node.expressions if output or not isinstance(item, exp.Star)]
            condition = None if where is None else self.read(where.this)
            return t.Select(collection.name, alias, condition, outputs[0] if output else None)
        finally:
            self._scopes.pop()


def _has_role(arguments: list[Any]) -> t.Expr:
    """Word for word what the SQL function of that name does: a role is an element of an array, nothing else."""
    if len(arguments) != 1 or not isinstance(arguments[0], exp.Literal) or not arguments[0].is_string:
        raise RuleError("auth.has_role() takes one role as text", hint="auth.has_role('editor')")
    wanted = t.Literal(msgspec.json.encode([str(arguments[0].this)]).decode())
    listed = t.Binary("@>", t.Claim("claim", "app_metadata.roles"), wanted)
    return t.Call("coalesce", (listed, t.Literal(False)))


def _chain(node: Any, kind: type[exp.And | exp.Or]) -> list[Any]:
    """``a and b and c``, which comes as ``(a and b) and c``, as it was written."""
    items = []
    while isinstance(node, kind):
        items.append(node.right)
        node = node.left
    return [node, *reversed(items)]


def _must_keep(node: Any) -> None:
    kept = _KEPT.get(type(node))
    if kept is None:
        return
    lost = {key for key, value in node.args.items() if value and key not in kept}
    if lost - {"position"} or (lost and str(node.args["position"]).upper() != "BOTH"):
        raise RuleError(f"a rule cannot use {_spelled(node)}", hint="docs/guides/rules.md lists what it can")


def _number(text: str) -> t.Literal:
    """A number with a point is exact, as in PostgreSQL."""
    return t.Literal(int(text)) if text.isdigit() else t.Literal(text, "numeric")


def _spelled(node: Any) -> str:
    return repr(node.sql(dialect="postgres"))[:80] if isinstance(node, exp.Expression) else repr(node)
