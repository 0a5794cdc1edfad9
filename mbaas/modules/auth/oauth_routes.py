"""The way over a provider, as browsers go it, and the ways in of an account. Thin: read, call, answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from litestar import Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath
from litestar.response import Redirect

from mbaas.modules.auth.access import Access
from mbaas.modules.auth.errors import UnsupportedProvider
from mbaas.modules.auth.oauth import Begun, Wanted
from mbaas.modules.auth.oauth_flows import LIFETIME
from mbaas.modules.auth.objects import User
from mbaas.modules.auth.pkce import parse_challenge
from mbaas.modules.auth.routes import AnyRequest, Empty, Injected, asked_by, current_user
from mbaas.modules.auth.services import Services

MAX_FIELDS = 20


@get("/authorize", opt={"access": Access.OPEN})
async def authorize(request: AnyRequest, services: Injected) -> Response[Any]:
    asked = asked_by(request, services, request.query_params.get("redirect_to"))
    given = _once(request)
    if "flow" in given:
        begun = await services.oauth.open(given["flow"], given, _browser(request, services))
        return _away(begun, services)
    wanted = _wanted(given)
    if given.get("skip_http_redirect") == "true":
        return Response({"url": await services.oauth.prepare(wanted, None, asked=asked)})
    return _away(await services.oauth.begin(wanted, _browser(request, services), asked=asked), services)


@get("/callback", opt={"access": Access.OPEN})
async def callback(request: AnyRequest, services: Injected) -> Redirect:
    asked = asked_by(request, services, None)
    return Redirect(
        await services.oauth.back(_once(request), _browser(request, services), asked=asked), status_code=302
    )


@post("/callback", opt={"access": Access.OPEN})
async def callback_by_form(request: AnyRequest, services: Injected) -> Redirect:
    """A form that another site posts comes without our cookie; the same answer as a GET brings it."""
    form = await request.form()
    fields = ("code", "state", "user", "error", "iss")
    known = {name: form[name] for name in fields if isinstance(form.get(name), str)}
    return Redirect(f"{services.auth_url}/callback?{urlencode(known)}", status_code=303)


@get("/user/identities/authorize", opt={"access": Access.USER})
async def link_identity(request: AnyRequest, services: Injected) -> Response[Any]:
    user: User = await current_user(request, services)
    services.oauth.identities.require_linking()
    asked, given = asked_by(request, services, request.query_params.get("redirect_to")), _once(request)
    url = await services.oauth.prepare(_wanted(given), user, asked=asked)
    return Response({"url": url}) if given.get("skip_http_redirect") == "true" else Redirect(url, status_code=302)


@delete("/user/identities/{identity_id:str}", status_code=200, opt={"access": Access.USER})
async def unlink_identity(request: AnyRequest, services: Injected, identity_id: FromPath[str]) -> Empty:
    user = await current_user(request, services)
    async with services.database.transaction() as transaction:
        await services.oauth.identities.unlink(transaction, user, identity_id, asked=asked_by(request, services, None))
    return {}


def _wanted(given: Mapping[str, str]) -> Wanted:
    if not given.get("provider"):
        raise UnsupportedProvider
    challenge = parse_challenge(given.get("code_challenge"), given.get("code_challenge_method"))
    return Wanted(provider=given["provider"], parameters=given, challenge=challenge)


def _once(request: AnyRequest) -> dict[str, str]:
    """The query; of a name that comes twice the first, whatever is asked of it."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        found.setdefault(name, value)
    return dict(list(found.items())[:MAX_FIELDS])


def _cookie(services: Services) -> str:
    """With TLS a name that no neighbouring host can set (RFC 6265bis section 4.1.3.2)."""
    return "__Host-mbaas-flow" if services.auth_url.startswith("https:") else "mbaas-flow"


def _browser(request: AnyRequest, services: Services) -> str | None:
    return request.cookies.get(_cookie(services))


def _away(begun: Begun, services: Services) -> Redirect:
    cookie = Cookie(
        key=_cookie(services),
        value=begun.browser,
        max_age=int(LIFETIME.total_seconds()),
        path="/",
        secure=services.auth_url.startswith("https:"),
        httponly=True,
        samesite="lax",
    )
    headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    return Redirect(begun.url, status_code=302, cookies=[cookie], headers=headers)


OAUTH_ROUTES = (authorize, callback, callback_by_form, link_identity, unlink_identity)
