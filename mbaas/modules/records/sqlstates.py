"""SQLSTATE to HTTP status as PostgREST has it, and what a function's author raises to be passed on as it is."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from mbaas.core.errors import DatabaseError
from mbaas.core.identity import Role

_STATES = {
    "23503": 409,
    "23505": 409,
    "25006": 405,
    "42883": 404,
    "42P01": 404,
    "42P17": 500,
    "53400": 500,
    "57P01": 503,
    "P0001": 400,
}
_CLASSES = {
    "08": 503,
    "09": 500,
    "0L": 403,
    "0P": 403,
    "25": 500,
    "28": 403,
    "2D": 500,
    "38": 500,
    "39": 500,
    "3B": 500,
    "40": 500,
    "53": 503,
    "54": 500,
    "55": 500,
    "57": 500,
    "58": 500,
    "F0": 500,
    "HV": 500,
    "P0": 500,
    "XX": 500,
}  # every other one, 22, 23 and 42 among them: 400

_STATUS = re.compile(r"[2-5][0-9]{2}", re.ASCII)
_BODILESS = frozenset({204, 205, 304})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}", re.ASCII)
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,4096}")
_OURS = frozenset({"content-length", "content-type", "transfer-encoding", "connection", "proxy-status"})


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that a SQL function asked for by ``raise``."""

    status: int
    code: str
    message: str
    details: str | None = None
    hint: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class _Message(msgspec.Struct):
    code: str
    message: str
    details: str | None = None
    hint: str | None = None


class _Detail(msgspec.Struct):
    status: int
    headers: dict[str, str]
    status_text: str | None = None


def status_of(state: str, message: str, role: Role) -> int:
    """The status for a SQLSTATE; what an anonymous caller lacks the right for is 401."""
    if state == "42501":
        return 401 if role == "anon" else 403
    if state == "21000":
        # The second: two rows of one upsert have the same key. PostgREST calls that 500, but it is the caller's doing.
        return 400 if message.endswith(("requires a WHERE clause", "cannot affect row a second time")) else 500
    if state == "22023" and message.startswith("role") and message.endswith("does not exist"):
        return 401
    return _STATES.get(state) or _CLASSES.get(state[:2], 400)


def raised_by_author(error: DatabaseError) -> Raised | None:
    """The answer behind ``raise sqlstate 'PT402'`` (status 402) or ``'PGRST'`` (all of it as JSON), else ``None``."""
    if error.sqlstate == "PGRST":
        return _spelled_out(error)
    if error.sqlstate == "P0001":
        return Raised(status=400, code="P0001", message=error.message, details=error.details, hint=error.hint)
    if not error.sqlstate.startswith("PT"):
        return None
    number = error.sqlstate[2:]
    return Raised(
        status=int(number) if _STATUS.fullmatch(number) and int(number) not in _BODILESS else 500,
        code=error.sqlstate,
        message=error.message,
        details=error.details,
        hint=error.hint,
    )


def _spelled_out(error: DatabaseError) -> Raised:
    try:
        message = msgspec.json.decode(error.message, type=_Message)
    except (msgspec.DecodeError, RecursionError):
        return _unreadable(
            f"Invalid JSON value for MESSAGE: '{error.message}'",
            "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' "
            "and optional keys: 'details', 'hint'.",
        )
    keys = "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'."
    if not error.details:
        return _unreadable("DETAIL is missing in the RAISE statement", keys)
    try:
        detail = msgspec.json.decode(error.details, type=_Detail)
    except (msgspec.DecodeError, RecursionError):
        return _unreadable(f"Invalid JSON value for DETAIL: '{error.details}'", keys)
    if not 200 <= detail.status <= 599 or detail.status in _BODILESS:
        return _unreadable(f"Invalid JSON value for DETAIL: '{error.details}'", keys)
    return Raised(
        status=detail.status,
        code=message.code,
        message=message.message,
        details=message.details,
        hint=message.hint,
        headers=_sendable(detail.headers),
    )


def _unreadable(details: str, hint: str) -> Raised:
    message = "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error"
    return Raised(status=500, code="PGRST121", message=message, details=details, hint=hint)


def _sendable(headers: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Headers that HTTP can carry and that do not contradict our own."""
    return tuple(
        (name.lower(), value)
        for name, value in headers.items()
        if _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value) and name.lower() not in _OURS
    )
