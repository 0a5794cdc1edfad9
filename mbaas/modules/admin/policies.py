"""The same questions of adopted collections, where the grants and policies of the database are the rules."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.core.errors import DatabaseError
from mbaas.core.identity import Identity
from mbaas.core.rules.reach import Reach
from mbaas.core.schema.catalog import Collection, Operation
from mbaas.core.sql.explain import policies_of, policy_value, row_as_json
from mbaas.core.sql.fragment import Fragment
from mbaas.modules.admin.told import CheckTold, CollectionReach, Explained, PartTold, Question


class Policy(msgspec.Struct, frozen=True):
    """using: of a row that is there. check: of one that is written; ``None``: as using."""

    name: str
    permissive: bool
    using: str | None
    check: str | None

    def of(self, on: str) -> str:
        found = self.using if on == "stored" else self.check or self.using
        return "true" if found is None else found


class Access(msgspec.Struct, frozen=True):
    """What the database has to say about one operation of one role. bypasses: no policy holds it."""

    collection: str
    operation: Operation
    role: str
    granted: bool
    bypasses: bool
    policies: tuple[Policy, ...]

    @property
    def reach(self) -> Reach:
        if not self.granted:
            return "none"
        if self.bypasses:
            return "all"
        return "some" if any(policy.permissive for policy in self.policies) else "none"


async def read_access(database: Database, collections: Iterable[Collection]) -> tuple[Access, ...]:
    names = [collection.name for collection in collections]
    if not names:
        return ()
    row = await database.fetch_row(policies_of(names))
    return msgspec.json.decode((row and row[0]) or "[]", type=tuple[Access, ...])


def adopted_reach(found: Iterable[Access], collection: Collection) -> list[CollectionReach]:
    told: dict[Operation, dict[str, Access]] = {}
    for access in found:
        if access.collection == collection.name and (access.operation == "select" or not collection.view):
            told.setdefault(access.operation, {})[access.role] = access
    made = []
    for operation, roles in told.items():
        policies = {policy.name: None for access in roles.values() for policy in access.policies}
        rule = "policies " + ", ".join(policies) if policies else None
        reach: dict[str, Reach] = {role: access.reach for role, access in roles.items()}
        made.append(CollectionReach(collection=collection.name, operation=operation, rule=rule, reach=reach))
    return made


async def explain_adopted(
    question: Question,
    collection: Collection,
    identity: Identity,
    database: Database,
    stored: Fragment | None,
    after: Fragment | None,
) -> Explained:
    """Each policy by itself, asked as the caller of the record as it is and as it would be."""
    access = {one.operation: one for one in await read_access(database, (collection,)) if one.role == identity.role}
    found, records = await _records(question, identity, database, stored, after)
    checks: list[CheckTold] = []
    verdicts: list[tuple[bool | None, str]] = []
    async with database.transaction(caller=identity, read_only=True, commit=False) as transaction:
        for operation, on in _asked(question):
            one = access[operation]
            if not one.granted:
                verdicts.append((False, f"{identity.role} has no right to {operation} on {collection.name}"))
            elif one.bypasses:
                verdicts.append((True, f"no policy holds {identity.role} on {collection.name}"))
            else:
                told = [
                    (policy, await _told(policy, one.operation, on, collection, records.get(on), transaction))
                    for policy in one.policies
                ]
                checks += [check for _, check in told]
                verdicts.append(_verdict(operation, on, told))
    outcomes = [outcome for outcome, _ in verdicts]
    refused = [reason for outcome, reason in verdicts if outcome is False]
    reasons = [f"{collection.name} has no record with this key"] if found is False else refused
    return Explained(
        collection=collection.name,
        operation=question.operation,
        role=identity.role,
        user=identity.user_id,
        allowed=False if found is False or False in outcomes else None if None in outcomes else True,
        found=found,
        reasons=tuple(reasons or [reason for _, reason in verdicts]),
        checks=tuple(checks),
        fields=(),
    )


async def _told(
    policy: Policy,
    operation: Operation,
    on: str,
    collection: Collection,
    record: str | None,
    transaction: Transaction,
) -> CheckTold:
    """One policy with its value, without one when there is no record to ask it of."""
    text = policy.of(on)
    part = PartTold(text=text)
    if record is not None:
        await transaction.execute("savepoint policy")
        try:
            row = await transaction.fetch_row(policy_value(collection, text, record))
            part = PartTold(text=text, value=msgspec.json.decode((row and row[0]) or "null"))
        except DatabaseError as error:
            await transaction.execute("rollback to savepoint policy")
            part = PartTold(text=text, value=None, fault=error.message)
    holds = None if record is None else part.value is True
    kind = "policy" if policy.permissive else "restrictive policy"
    return CheckTold(rule=operation, of=f'{kind} "{policy.name}"', on=on, text=text, holds=holds, part=part)


def _asked(question: Question) -> list[tuple[Operation, str]]:
    """Which policies PostgreSQL asks of which record. A row to be written is found by its key, so it must be seen."""
    operation = question.operation
    after = "new" if operation == "insert" else "changed"
    asked: list[tuple[Operation, str]] = [] if operation == "insert" else [("select", "stored")]
    if operation in ("update", "delete"):
        asked.append((operation, "stored"))
    if operation in ("insert", "update"):
        asked.append((operation, after))
    if operation == "update" or (operation == "insert" and question.returning):
        asked.append(("select", after))
    return asked


async def _records(
    question: Question, identity: Identity, database: Database, stored: Fragment | None, after: Fragment | None
) -> tuple[bool | None, dict[str, str]]:
    """Whether the record is there, and what is there or would be, as JSON. A default may ask who the caller is."""
    records: dict[str, str] = {}
    if question.operation == "insert":
        if after is not None:
            async with database.transaction(caller=identity, read_only=True, commit=False) as transaction:
                row = await transaction.fetch_row(row_as_json(after))
            records["new"] = (row and row[0]) or "{}"
        return None, records
    for on, wanted in (("stored", stored), ("changed", after)):
        if wanted is not None:
            row = await database.fetch_row(row_as_json(wanted))
            if row is None:
                return False, {}
            records[on] = row[0] or "{}"
    return (None if stored is None else True), records


def _verdict(operation: Operation, on: str, told: list[tuple[Policy, CheckTold]]) -> tuple[bool | None, str]:
    """One permissive policy is enough, and every restrictive one must hold."""
    where = {"stored": "the record as it is", "changed": "the record as it would be", "new": "the new record"}[on]
    for policy, check in told:
        if not policy.permissive and check.holds is False:
            return False, f"{check.of} for {operation} does not hold for {where}: {_of(check)}"
    lets_in = [check for policy, check in told if policy.permissive]
    if not lets_in:
        return False, f"there is no policy for {operation} that lets the role in"
    for check in lets_in:
        if check.holds is True and all(other.holds is not None for _, other in told):
            return True, f"{check.of} for {operation} holds for {where}: {_of(check)}"
    if any(check.holds is None for _, check in told):
        return None, f"policies for {operation} depend on the record"
    return False, f"no policy for {operation} holds for {where}: " + "; ".join(f"{c.of}: {_of(c)}" for c in lets_in)


def _of(check: CheckTold) -> str:
    fault = None if check.part is None else check.part.fault
    return f"{check.text}" if fault is None else f"{check.text} cannot be computed: {fault}"
