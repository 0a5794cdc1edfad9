"""What the service key may ask for."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, cast

import msgspec
from litestar import Response, delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from mbaas.modules.auth.access import Access
from mbaas.modules.auth.admin import DEFAULT_PER_PAGE, MAX_PER_PAGE, UserPage, UserValues
from mbaas.modules.auth.audit import Entry, read_audit
from mbaas.modules.auth.bodies import DeleteBody, InviteBody, LinkBody
from mbaas.modules.auth.errors import ValidationFailed
from mbaas.modules.auth.importing import ImportBody, Imported, import_users
from mbaas.modules.auth.links import LinkType, LinkWanted
from mbaas.modules.auth.objects import User
from mbaas.modules.auth.routes import AnyRequest, Empty, Injected, RedirectTo, asked_by

_LINK_TYPES = ("signup", "invite", "magiclink", "recovery", "email_change_current", "email_change_new")


@get("/admin/users", opt={"access": Access.SERVICE})
async def list_users(
    services: Injected,
    page_text: Annotated[str, QueryParameter(name="page")] = "",
    per_page_text: Annotated[str, QueryParameter(name="per_page")] = "",
) -> Response[dict[str, Any]]:
    page = _count(page_text, "page", 1)
    per_page = min(_count(per_page_text, "per_page", DEFAULT_PER_PAGE), MAX_PER_PAGE)
    found = await services.admin.users(page, per_page)
    headers = {"x-total-count": str(found.total), "link": _links(found, page, per_page)}
    return Response({"users": found.users, "aud": "authenticated"}, headers=headers)


@post("/admin/users", status_code=200, opt={"access": Access.SERVICE})
async def create_user(request: AnyRequest, services: Injected, data: JSONBody[UserValues]) -> User:
    return await services.admin.create(data, asked=asked_by(request, services, None))


@post("/admin/users/import", status_code=200, opt={"access": Access.SERVICE})
async def import_many(request: AnyRequest, services: Injected, data: JSONBody[ImportBody]) -> Imported:
    asked = asked_by(request, services, None)
    return await import_users(services.admin, data.users, dry_run=data.dry_run, asked=asked)


@get("/admin/users/{user_id:str}", opt={"access": Access.SERVICE})
async def read_user(services: Injected, user_id: FromPath[str]) -> User:
    return await services.admin.user(user_id)


@put("/admin/users/{user_id:str}", opt={"access": Access.SERVICE})
async def change_user(
    request: AnyRequest, services: Injected, user_id: FromPath[str], data: JSONBody[UserValues]
) -> User:
    return await services.admin.update(user_id, data, asked=asked_by(request, services, None))


@delete("/admin/users/{user_id:str}", status_code=200, opt={"access": Access.SERVICE})
async def delete_user(request: AnyRequest, services: Injected, user_id: FromPath[str]) -> Empty:
    raw = await request.body()
    body = msgspec.json.decode(raw, type=DeleteBody) if raw.strip() else DeleteBody()
    await services.admin.delete(user_id, soft=bool(body.should_soft_delete), asked=asked_by(request, services, None))
    return {}


@post("/invite", status_code=200, opt={"access": Access.SERVICE})
async def invite(
    request: AnyRequest, services: Injected, data: JSONBody[InviteBody], redirect_to: RedirectTo = None
) -> User:
    return await services.links.invite(
        data.email or "", data.data or {}, asked=asked_by(request, services, redirect_to)
    )


@post("/admin/generate_link", status_code=200, opt={"access": Access.SERVICE})
async def generate_link(
    request: AnyRequest, services: Injected, data: JSONBody[LinkBody], redirect_to: RedirectTo = None
) -> dict[str, Any]:
    if data.type not in _LINK_TYPES:
        raise ValidationFailed(f"Unsupported link type, it must be one of {', '.join(_LINK_TYPES)}")
    wanted = LinkWanted(
        type=cast(LinkType, data.type),
        email=data.email or "",
        new_email=data.new_email,
        password=data.password,
        data=data.data,
    )
    user, properties = await services.links.generate(wanted, asked=asked_by(request, services, redirect_to))
    return {**msgspec.to_builtins(user), **msgspec.to_builtins(properties)}


@get("/admin/audit", opt={"access": Access.SERVICE})
async def list_audit(
    services: Injected,
    user_id: FromQuery[str | None] = None,
    action: FromQuery[str | None] = None,
    before: FromQuery[str | None] = None,
    per_page_text: Annotated[str, QueryParameter(name="per_page")] = "",
) -> dict[str, list[Entry]]:
    """What happened to users, newest first."""
    limit = min(_count(per_page_text, "per_page", DEFAULT_PER_PAGE), MAX_PER_PAGE)
    try:
        after = None if before is None else str(uuid.UUID(before))
    except ValueError:
        raise ValidationFailed("before must be the id of an entry") from None
    entries = await read_audit(services.database, user_id=user_id, action=action, before=after, limit=limit)
    return {"entries": entries}


def _count(text: str, name: str, default: int) -> int:
    """A page number or size; empty means the default, as clients send it."""
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:10]) <= 1_000_000_000 or len(text) > 10:
        raise ValidationFailed(f"Bad Pagination Parameters: {name}")
    return int(text)


def _links(found: UserPage, page: int, per_page: int) -> str:
    """Further pages (RFC 8288). ``page`` comes first: a client reads only what follows the first equals sign."""
    last = max(1, -(-found.total // per_page))
    steps = ([(page + 1, "next")] if page < last else []) + [(last, "last")]
    return ", ".join(f'</admin/users?page={number}&per_page={per_page}>; rel="{rel}"' for number, rel in steps)


ADMIN_ROUTES = (
    list_users,
    create_user,
    import_many,
    read_user,
    change_user,
    delete_user,
    invite,
    generate_link,
    list_audit,
)
