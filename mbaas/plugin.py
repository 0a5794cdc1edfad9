"""The one import of a plugin: these names, and nothing else, keep their meaning between releases.

``docs/guides/plugins.md`` explains each.
"""

from msgspec.structs import replace

from mbaas.core.errors import DatabaseError
from mbaas.core.errors import HookRefused as Refused
from mbaas.core.identity import Identity
from mbaas.hooks.capabilities import Request, Response, Route
from mbaas.hooks.dispatch import Hooks, Proceed
from mbaas.hooks.events import (
    Record,
    RecordCreate,
    RecordCreated,
    RecordDelete,
    RecordDeleted,
    RecordUpdate,
    RecordUpdated,
    SignedIn,
    Transaction,
    User,
    UserCreate,
    UserCreated,
)

__all__ = [
    "DatabaseError",
    "Hooks",
    "Identity",
    "Proceed",
    "Record",
    "RecordCreate",
    "RecordCreated",
    "RecordDelete",
    "RecordDeleted",
    "RecordUpdate",
    "RecordUpdated",
    "Refused",
    "Request",
    "Response",
    "Route",
    "SignedIn",
    "Transaction",
    "User",
    "UserCreate",
    "UserCreated",
    "replace",
]
