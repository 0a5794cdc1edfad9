"""What is put into the outbox, and what a worker holds while sending it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

State: TypeAlias = Literal["waiting", "dead"]


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be sent.

    channel: who sends it: ``mail``, ``sms``. kind: what it is, for logs and lists; nothing secret. destination: those
    with the same one wait for each other, others do not. payload: what the channel's sender understands, as JSON.
    expires_s: seconds until it is worth nothing and is dropped; 0: at once, for a row that only has to take its time.
    """

    channel: str
    kind: str
    destination: str
    payload: Any
    expires_s: float


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One parcel in a worker's hands. id: stays the same over every try: the idempotency key, the ``Message-ID``.

    payload: the JSON that was put. attempts: this one included. created_at: when it was put.
    """

    id: str
    channel: str
    kind: str
    destination: str
    payload: bytes
    generation: int
    attempts: int
    created_at: datetime


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One row as an operator sees it; its payload stays sealed."""

    id: str
    channel: str
    kind: str
    destination: str
    state: State
    held: bool
    attempts: int
    due_at: datetime
    expires_at: datetime
    created_at: datetime
    died_at: datetime | None
    last_error: str | None
