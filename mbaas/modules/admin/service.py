"""Rules explained: why somebody may or may not do something to a record, and what each role can reach.

Every value comes from PostgreSQL, on the record itself, by the statement that the rule is; nothing is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.core.errors import BodyInvalid, DatabaseError, NotFound, UnknownCollection, UnknownPayloadField
from mbaas.core.expr import types as t
from mbaas.core.identity import Identity, Role
from mbaas.core.rules.reach import reach
from mbaas.core.rules.ruleset import OPERATIONS, RuleSet
from mbaas.core.rules.text import rule_text
from mbaas.core.schema.catalog import Collection, Field
from mbaas.core.sql.explain import Part, ask, changed_row, claims_of, new_row, stored_row, taken_apart
from mbaas.core.sql.fragment import Fragment
from mbaas.modules.admin.policies import adopted_reach, explain_adopted, read_access
from mbaas.modules.admin.told import (
    CheckTold,
    CollectionReach,
    Evidence,
    Explained,
    FieldReach,
    FunctionReach,
    PartTold,
    Question,
    Reached,
)

ROLES: tuple[Role, ...] = ("anon", "authenticated", "service_role")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class RulesTold:
    """Everything ``/admin/v1/rules`` does, without HTTP."""

    def __init__(self, database: Database, rules: Callable[[], RuleSet]) -> None:
        self._database = database
        self._rules = rules

    async def reached(self) -> Reached:
        """What each role can reach: by the rules alone, of what is adopted by grants and policies."""
        rules = self._rules()
        collections = rules.catalog.collections.values()
        adopted = [collection for collection in collections if collection.adopted]
        access = await read_access(self._database, adopted)
        return Reached(
            rows=tuple(one for collection in adopted for one in adopted_reach(access, collection))
            + tuple(
                CollectionReach(
                    collection=collection.name,
                    operation=operation,
                    rule=collection.rules.of(operation),
                    reach={role: reach(rules.row(collection.name, operation), role) for role in ROLES},
                )
                for collection in collections
                if not collection.adopted
                for operation in (OPERATIONS[:1] if collection.view else OPERATIONS)
            ),
            fields=tuple(
                FieldReach(
                    collection=collection.name,
                    field=field.name,
                    hidden=field.hidden,
                    read=field.read,
                    write=field.write,
                )
                for collection in collections
                for field in collection.fields
                if field.hidden or field.read is not None or field.write is not None
            ),
            functions=tuple(
                FunctionReach(function=function.name, execute=tuple(sorted({*function.execute, "service_role"})))
                for function in rules.catalog.functions
            ),
        )

    async def explain(self, question: Question) -> Explained:
        """Raises UnknownCollection, NotFound for a user that is not there, BodyInvalid for what is no key."""
        rules = self._rules()
        collection = rules.catalog.collections.get(question.collection)
        if collection is None:
            raise UnknownCollection.of(question.collection)
        identity = await self._identity(question)
        try:
            if collection.adopted:
                stored, after = _Rows(question, collection, identity, rules).make()
                return await explain_adopted(question, collection, identity, self._database, stored, after)
            async with self._database.transaction(read_only=True, commit=False) as transaction:
                return await _Explanation(question, collection, identity, rules, transaction).run()
        except DatabaseError as error:
            if not error.sqlstate.startswith("22"):  # data exceptions: the key or the row is none of its types
                raise
            raise BodyInvalid(error.message, hint="key and row are of the fields' types") from error

    async def _identity(self, question: Question) -> Identity:
        claims: dict[str, Any] = {}
        if question.user is not None:
            if _UUID.fullmatch(question.user) is None:
                raise BodyInvalid(f"user: {question.user!r} is no id", hint="an id of auth.users, or claims")
            row = await self._database.fetch_row(claims_of(question.user))
            if row is None:
                raise NotFound(f"there is no user {question.user}", hint="claims = {'sub': ...} asks without one")
            claims = msgspec.json.decode(row[0] or "{}")
        claims |= question.claims
        role = question.role or claims.get("role") or ("authenticated" if claims.get("sub") else "anon")
        if role not in ROLES:
            raise BodyInvalid(f"claims.role: {role!r} is no role of the API", hint="one of " + ", ".join(ROLES))
        return Identity(role=role, claims=claims | {"role": role})


class _Rows:
    """The records that a question is about, as relations."""

    def __init__(self, question: Question, collection: Collection, identity: Identity, rules: RuleSet) -> None:
        self.question = question
        self.collection = collection
        self.identity = identity
        self.rules = rules

    def make(self) -> tuple[Fragment | None, Fragment | None]:
        """The record as it is and as it would be; ``None``: the question is about none."""
        question, collection = self.question, self.collection
        fields = tuple(self._named(question.row or {}))
        if question.operation == "insert":
            if question.row is None:
                return None, None
            defaults = self.rules.defaults[collection.name]
            return None, new_row(collection, fields, _json(question.row), defaults, self.identity)
        if question.key is None:
            return None, None
        key = _json(self._key())
        stored = stored_row(collection, key)
        if question.operation != "update":
            return stored, None
        return stored, changed_row(collection, key, fields, _json(question.row or {}))

    def _named(self, row: dict[str, Any]) -> list[Field]:
        found = []
        for name in row:
            field = self.collection.field(name)
            if field is None:
                raise UnknownPayloadField.of(self.collection.name, name)
            if field.generated is None and not (field.managed and not self.identity.bypasses_rules):
                found.append(field)
        return found

    def _key(self) -> dict[str, Any]:
        key, wanted = self.question.key, self.collection.key
        if not isinstance(key, dict) and len(wanted) == 1:
            key = {wanted[0]: key}
        if not isinstance(key, dict) or set(key) != set(wanted):
            raise BodyInvalid(f"key: {self.collection.name} is found by {', '.join(wanted) or 'nothing'}")
        return key


class _Explanation:
    """One question under way."""

    def __init__(
        self,
        question: Question,
        collection: Collection,
        identity: Identity,
        rules: RuleSet,
        transaction: Transaction,
    ) -> None:
        self.question = question
        self.collection = collection
        self.identity = identity
        self.rules = rules
        self.transaction = transaction
        self.found: bool | None = None
        self.checks: list[CheckTold] = []
        self.fields: list[CheckTold] = []

    async def run(self) -> Explained:
        question, collection = self.question, self.collection
        stored, after = _Rows(question, collection, self.identity, self.rules).make()
        self.found = None if stored is None else await self.transaction.fetch_row(ask((), stored)) is not None
        if not self.identity.bypasses_rules and self.found is not False:
            await self._look(stored, after)
        holds = [check.holds for check in self.checks]
        if self.identity.bypasses_rules:
            allowed: bool | None = self.found is not False
        else:
            allowed = False if self.found is False or False in holds else None if None in holds else True
        return Explained(
            collection=collection.name,
            operation=question.operation,
            role=self.identity.role,
            user=self.identity.user_id,
            allowed=allowed,
            found=self.found,
            reasons=tuple(self._reasons()),
            checks=tuple(check for check in self.checks if check.of == "row"),
            fields=tuple(self.fields),
            hidden=() if self.identity.bypasses_rules else tuple(f.name for f in collection.fields if f.hidden),
        )

    async def _look(self, stored: Fragment | None, after: Fragment | None) -> None:
        """The rules that the server asks of this operation, in its order."""
        operation, name = self.question.operation, self.collection.name
        if operation == "insert":
            self.checks.append(await self._check("insert", "new", after))
        else:
            self.checks.append(await self._check("select", "stored", stored))
        if operation in ("update", "delete"):
            self.checks.append(await self._check(operation, "stored", stored))
        if operation == "update":
            self.checks.append(await self._check("update", "changed", after))
        if operation in ("insert", "update") and self.question.returning:
            self.checks.append(await self._check("select", "new" if operation == "insert" else "changed", after))
        for field in self.collection.fields:
            if operation == "select":
                rule = self.rules.read(name, field.name)
                if rule != t.TRUE and not field.hidden:
                    self.fields.append(await self._field("read", "stored", field, rule, stored))
            elif operation != "delete" and (rule := self.rules.write(name, field.name)) != t.TRUE:
                ons = [("new", after)] if operation == "insert" else [("stored", stored), ("changed", after)]
                named = field.name in (self.question.row or {})
                for on, row in ons:
                    told = await self._field("write", on, field, rule, row)
                    self.fields.append(told)
                    if named:
                        self.checks.append(told)

    async def _check(self, operation: Any, on: str, row: Fragment | None) -> CheckTold:
        rule = self.rules.row(self.collection.name, operation)
        text = self.collection.rules.of(operation)
        if text is None:
            return CheckTold(rule=operation, of="row", on=on, text=None, holds=False)
        part = await self._told(rule, row)
        return CheckTold(rule=operation, of="row", on=on, text=text, holds=_settled(part), part=part)

    async def _field(self, kind: str, on: str, field: Field, rule: t.Expr, row: Fragment | None) -> CheckTold:
        part = await self._told(rule, row)
        text = field.read if kind == "read" else field.write
        return CheckTold(
            rule=kind,
            of=field.name,
            on=on,
            text=text or rule_text(rule, of=self.collection.name),
            holds=_settled(part),
            part=part,
        )

    # --- the parts ----------------------------------------------------------------------------------------------------

    async def _told(self, rule: t.Expr, row: Fragment | None) -> PartTold:
        """The rule's parts with their values; those behind a guard by statements of their own, which may fail."""
        part = taken_apart(rule, self.identity, of_collection=self.collection.name)
        return await self._values(part, row)

    async def _values(self, part: Part, row: Fragment | None) -> PartTold:
        together: list[Part] = []
        guarded: list[Part] = []
        _collect(part, together, guarded, row is not None)
        known = dict(zip(map(id, together), await self._ask(together, row), strict=True))
        inside: dict[int, tuple[PartTold, ...] | str] = {}
        for one in guarded:
            await self.transaction.execute("savepoint part")
            try:
                inside[id(one)] = tuple([await self._values(inner, row) for inner in one.parts])
                await self.transaction.execute("release savepoint part")
            except DatabaseError as error:
                await self.transaction.execute("rollback to savepoint part")
                inside[id(one)] = error.message
        return _assembled(part, known, inside)

    async def _ask(self, parts: list[Part], row: Fragment | None) -> list[tuple[Any, Evidence | None]]:
        wanted: list[Fragment] = []
        for part in parts:
            wanted.append(part.value)
            if part.rows is not None:
                wanted += [part.rows.rows, *(condition for _, condition in part.rows.conditions)]
        if not wanted:
            return []
        answer = await self.transaction.fetch_row(ask(wanted, row))
        values = iter(msgspec.json.decode((answer and answer[0]) or "[]"))
        found: list[tuple[Any, Evidence | None]] = []
        for part in parts:
            own = next(values, None)
            evidence = None
            if part.rows is not None:
                rows = next(values, None) or []
                conditions = {text: bool(next(values, None)) for text, _ in part.rows.conditions}
                evidence = Evidence(query=part.rows.text, rows=rows, conditions=conditions)
            found.append((own, evidence))
        return found

    # --- in a sentence ------------------------------------------------------------------------------------------------

    def _reasons(self) -> list[str]:
        name = self.collection.name
        if self.found is False:
            return [f"{name} has no record with this key"]
        if self.identity.bypasses_rules:
            return ["the service key meets no rules"]
        told = [(check.holds, reason) for check in self.checks for reason in self._of(check)]
        refused = [reason for holds, reason in told if holds is False]
        return refused or [reason for _, reason in told]

    def _of(self, check: CheckTold) -> list[str]:
        if check.part is None:
            return [f"{self.collection.name} has no {check.rule} rule: only the service key may {check.rule}"]
        of = f"the {check.rule} rule" if check.of == "row" else f"the {check.rule} rule of {check.of}"
        if check.holds is None:
            return [f"{of} depends on the record: {check.text}"]
        where = {"stored": "the record as it is", "changed": "the record as it would be", "new": "the new record"}
        verb = "holds" if check.holds else "does not hold"
        return [f"{of} {verb} for {where[check.on]}: {reason}" for reason in _deciding(check.part)]


def _collect(part: Part, together: list[Part], guarded: list[Part], has_row: bool) -> None:
    if has_row or not part.of_row:
        together.append(part)
        if part.guarded:
            guarded.append(part)
            return
    for inner in part.parts:
        _collect(inner, together, guarded, has_row)


def _assembled(
    part: Part,
    known: dict[int, tuple[Any, Evidence | None]],
    inside: dict[int, tuple[PartTold, ...] | str],
) -> PartTold:
    own, evidence = known.get(id(part), (UNSET, None))
    behind = inside.get(id(part))
    parts = behind if isinstance(behind, tuple) else ()
    if behind is None:
        parts = tuple(_assembled(inner, known, inside) for inner in part.parts)
    fault = behind if isinstance(behind, str) else None
    return PartTold(text=part.text, value=own, joined=part.joined, parts=parts, evidence=evidence, fault=fault)


def _settled(part: PartTold) -> bool | None:
    """Whether it holds; ``None``: that depends on the record."""
    if part.value is not UNSET:
        return part.value is True
    holds = [_settled(inner) for inner in part.parts]
    if part.joined == "and" and False in holds:
        return False
    if part.joined == "or" and True in holds:
        return True
    return None


def _deciding(part: PartTold) -> list[str]:
    """The innermost parts that make it what it is, each with what it was made of."""
    holds = part.value is True
    if part.joined is not None and part.parts:
        decisive = (part.joined == "and") is not holds  # one is enough
        chosen = [inner for inner in part.parts if (inner.value is True) is holds]
        if chosen:
            return [reason for inner in (chosen[:1] if decisive else chosen) for reason in _deciding(inner)]
    return [_sentence(part)]


def _sentence(part: PartTold) -> str:
    made_of = [f"{leaf.text} is {_shown(leaf.value)}" for leaf in _leaves(part) if leaf.text != part.text]
    if part.evidence is not None:
        rows = part.evidence.rows
        made_of.append(f"it finds {', '.join(map(_shown, rows))}" if rows else "it finds no row")
        made_of += [f"no row has {text}" for text, met in part.evidence.conditions.items() if not met]
    if part.fault is not None:
        made_of.append(f"it cannot be computed: {part.fault}")
    return f"{part.text} is {_shown(part.value)}" + (f", as {', '.join(dict.fromkeys(made_of))}" if made_of else "")


def _leaves(part: PartTold) -> list[PartTold]:
    if not part.parts:
        return [part]
    return [leaf for inner in part.parts for leaf in _leaves(inner)]


def _shown(value: Any) -> str:
    return "unknown" if value is UNSET else json.dumps(value, ensure_ascii=False)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
