"""What every provider is to us, and how their answers are read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import msgspec

from mbaas.core.errors import Unavailable, Undeliverable
from mbaas.core.later import later

if TYPE_CHECKING:
    import httpx
else:
    httpx = later("httpx")

Channel: TypeAlias = Literal["sms", "whatsapp"]
CHANNELS: tuple[Channel, ...] = ("sms", "whatsapp")
_LATER = frozenset({401, 402, 403, 404, 408, 425, 429})
"""Refusals that an operator mends (a wrong key, an empty account) or time does; the message itself is not at fault."""


class Sms(msgspec.Struct, frozen=True, kw_only=True):
    """id: the same for every try. to: digits with the country code, no plus. code: what a template there may show."""

    id: str
    to: str
    text: str
    channel: Channel
    code: str = ""


class SmsProvider(Protocol):
    name: str
    channels: frozenset[Channel]
    """What it can send as it is configured."""

    async def send(self, sms: Sms) -> None:
        """Hand it on. Raises Undeliverable when that is of no use, Unavailable when it cannot be done now."""
        ...

    async def close(self) -> None: ...


async def ask(request: Callable[[], Awaitable[httpx.Response]]) -> dict[str, Any]:
    """The JSON object a provider answers with. Raises Undeliverable, Unavailable."""
    try:
        answer = await request()
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise Unavailable(f"the SMS provider does not answer: {type(error).__name__}") from error
    if answer.is_success:
        try:
            found = msgspec.json.decode(answer.content) if answer.content.strip() else {}
        except msgspec.DecodeError:
            found = {}
        return found if isinstance(found, dict) else {}
    # The body may repeat the number and the text: the status and the provider's own code have to do.
    reason = f"the SMS provider answered {answer.status_code}{_code(answer)}"
    if 400 <= answer.status_code < 500 and answer.status_code not in _LATER:
        raise Undeliverable(reason)
    raise Unavailable(reason)


def _code(answer: httpx.Response) -> str:
    try:
        found = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        return ""
    errors = found.get("errors") if isinstance(found, dict) else None
    code = errors[0].get("code") if isinstance(errors, list) and errors and isinstance(errors[0], dict) else None
    if code is None and isinstance(found, dict):
        code = found.get("code")
    return f" ({code})" if isinstance(code, int) else ""
