"""Many users at once, brought from elsewhere: each by itself, so that one that cannot be taken keeps no other out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mbaas.core.errors import HookRefused
from mbaas.modules.auth.admin import Admin, UserValues
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.errors import AuthError, EmailExists, PhoneExists, ValidationFailed

MAX_USERS = 1000  # of one request


class ImportBody(msgspec.Struct, frozen=True, kw_only=True):
    """dry_run: tell what would come of it, and change nothing."""

    users: list[UserValues]
    dry_run: bool = False


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """index: from 0, in the request."""

    index: int
    email: str | None
    phone: str | None
    code: str
    message: str


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """created: also those that a dry run would make. existing: their address or number is somebody's here already."""

    created: int
    existing: int
    rejected: list[Rejected]


async def import_users(admin: Admin, users: Sequence[UserValues], *, dry_run: bool, asked: Asked) -> Imported:
    """What became of each. Running it again brings what is still missing. Raises ValidationFailed for too many."""
    if len(users) > MAX_USERS:
        raise ValidationFailed(f"At most {MAX_USERS} users can be imported at once")
    created = existing = 0
    rejected: list[Rejected] = []
    names: set[str] = set()
    for index, values in enumerate(users):
        try:
            if dry_run:
                await admin.check(values)
                # The second of two alike would find the first.
                again = names & (mine := {name for name in (values.email, values.phone) if name})
                names |= mine
                if again:
                    raise EmailExists
            else:
                await admin.create(values, asked=asked)
            created += 1
        except (EmailExists, PhoneExists):
            existing += 1
        except (AuthError, HookRefused) as error:
            rejected.append(
                Rejected(index=index, email=values.email, phone=values.phone, code=error.code, message=error.message)
            )
    return Imported(created=created, existing=existing, rejected=rejected)
