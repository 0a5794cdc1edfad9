"""The texts of messages, for the service key: read, try, set, put back."""

from __future__ import annotations

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody

from mbaas.adapters.messages.compose import Composed, Texts
from mbaas.adapters.messages.kinds import KINDS
from mbaas.core.errors import NotFound
from mbaas.modules.auth.access import Access
from mbaas.modules.auth.routes import AnyRequest, Empty, Injected


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of message. locales: where there is a text of ours or beside ``mbaas.toml``; stored: of an admin."""

    kind: str
    medium: str
    variables: tuple[str, ...]
    locales: tuple[str, ...]
    stored: tuple[str, ...]


@get("/admin/messages", opt={"access": Access.SERVICE})
async def list_messages(services: Injected) -> dict[str, list[Listed]]:
    messages = services.messages
    stored = await messages.stored.names()
    listed = [
        Listed(
            kind=name,
            medium=kind.medium,
            variables=("app", "site_url", "to", "name", *kind.variables),
            locales=messages.composer.locales(name),
            stored=tuple(locale for of, locale in stored if of == name),
        )
        for name, kind in KINDS.items()
    ]
    return {"messages": listed}


@get("/admin/messages/{kind:str}/{locale:str}", opt={"access": Access.SERVICE})
async def read_message(services: Injected, kind: FromPath[str], locale: FromPath[str]) -> Texts:
    _known(kind)
    messages = services.messages
    found = (await messages.stored.of_kind(kind)).get(locale) or messages.composer.source(kind, locale)
    if found is None:
        raise NotFound(f"there is no {kind} in {locale}")
    return found


@put("/admin/messages/{kind:str}/{locale:str}", opt={"access": Access.SERVICE})
async def set_message(
    services: Injected, kind: FromPath[str], locale: FromPath[str], data: JSONBody[Texts]
) -> Composed:
    """Keep a text and show a sample of it; one that cannot be used changes nothing."""
    composed = services.messages.composer.check(kind, locale, data)
    await services.messages.stored.set(kind, locale, data)
    return composed


@delete("/admin/messages/{kind:str}/{locale:str}", status_code=200, opt={"access": Access.SERVICE})
async def reset_message(services: Injected, kind: FromPath[str], locale: FromPath[str]) -> Empty:
    _known(kind)
    if not await services.messages.stored.remove(kind, locale):
        raise NotFound(f"nobody has set {kind} in {locale}")
    return {}


@post("/admin/messages/{kind:str}/{locale:str}/preview", status_code=200, opt={"access": Access.SERVICE})
async def preview_message(
    request: AnyRequest, services: Injected, kind: FromPath[str], locale: FromPath[str]
) -> Composed:
    """A sample: of the text in the body, or of what would be sent now."""
    _known(kind)
    composer, body = services.messages.composer, await request.body()
    if body.strip() not in (b"", b"{}"):
        return composer.check(kind, locale, msgspec.json.decode(body, type=Texts))
    return composer.preview(kind, locale, stored=await services.messages.stored.of_kind(kind))


def _known(kind: str) -> None:
    if kind not in KINDS:
        raise NotFound(f"there is no message {kind}")


MESSAGE_ROUTES = (list_messages, read_message, set_message, reset_message, preview_message)
