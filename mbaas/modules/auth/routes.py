"""What anybody with a key of the project and any signed-in user may ask for. Thin: read, call, answer."""

from __future__ import annotations

import functools
import ipaddress
import uuid
from importlib.metadata import version
from typing import Annotated, Any, cast

from litestar import Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter
from litestar.response import Redirect

from mbaas.http.caller import caller
from mbaas.http.respond import Scope
from mbaas.modules.auth.access import Access, project_caller
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.bodies import OtpBody, RecoverBody, ResendBody, SignUpBody, TokenBody, UserBody, VerifyBody
from mbaas.modules.auth.errors import (
    EmailDisabled,
    InvalidCredentials,
    NotAdmin,
    PhoneDisabled,
    UserGone,
    ValidationFailed,
)
from mbaas.modules.auth.objects import Session, User
from mbaas.modules.auth.pkce import parse_challenge
from mbaas.modules.auth.policy import PROVIDERS
from mbaas.modules.auth.profile import Changes
from mbaas.modules.auth.services import Services
from mbaas.modules.auth.sessions import Scope as LogoutScope
from mbaas.modules.auth.verify import Half

AnyRequest = Request[Any, Any, Any]
RedirectTo = Annotated[str | None, QueryParameter(name="redirect_to")]
Empty = dict[str, Any]
Injected = NamedDependency[Services]


def asked_by(request: AnyRequest, services: Services, redirect_to: str | None) -> Asked:
    """What flows want to know of this request. A target may come as a header, too; the query counts first."""
    scope = cast(Scope, request.scope)
    return Asked(
        identity=project_caller(scope),
        redirect_to=services.allow_list.resolve(redirect_to or request.headers.get("redirect_to")),
        ip=_address(scope["state"].get("client_ip")),
        user_agent=(request.headers.get("user-agent") or "")[:500].replace("\x00", "") or None,
    )


def require_email(services: Services) -> None:
    """Raises EmailDisabled where the settings want other ways in alone."""
    if not services.policy.email:
        raise EmailDisabled


@functools.cache
def own_version() -> str:
    """As installed. Looked up once: it reads a file."""
    return version("mbaas")


@get("/health", opt={"access": Access.PROJECT})
async def health() -> dict[str, str]:
    return {"version": own_version(), "name": "GoTrue", "description": "mbaas speaks the protocol of Supabase Auth"}


@get("/settings", opt={"access": Access.PROJECT})
async def settings(services: Injected) -> dict[str, Any]:
    policy = services.policy
    external = {
        "email": policy.email,
        "phone": False,
        "anonymous_users": policy.anonymous,
        **dict.fromkeys(PROVIDERS, False),
    }
    return {
        "external": external,
        "disable_signup": policy.disable_signup,
        "mailer_autoconfirm": policy.autoconfirm,
        "phone_autoconfirm": False,
        "sms_provider": "",
        "saml_enabled": False,
        "passkeys_enabled": False,
    }


@get("/.well-known/jwks.json", opt={"access": Access.OPEN})
async def jwks(services: Injected) -> Response[dict[str, Any]]:
    keys = services.tokens.public_keys(now=services.clock.now())
    return Response(keys, headers={"cache-control": "public, max-age=600"})


@post("/signup", status_code=200, opt={"access": Access.PROJECT})
async def signup(
    request: AnyRequest, services: Injected, data: JSONBody[SignUpBody], redirect_to: RedirectTo = None
) -> Session | User:
    asked = asked_by(request, services, redirect_to)
    if data.phone:
        raise PhoneDisabled
    if not data.email:
        return await services.sign_up.anonymously(data.data or {}, asked=asked)
    require_email(services)
    challenge = parse_challenge(data.code_challenge, data.code_challenge_method)
    return await services.sign_up.with_password(
        data.email, data.password or "", data.data or {}, challenge, asked=asked
    )


@post("/token", status_code=200, opt={"access": Access.PROJECT})
async def token(
    request: AnyRequest, services: Injected, data: JSONBody[TokenBody], grant_type: FromQuery[str] = ""
) -> Session:
    asked = asked_by(request, services, None)
    if grant_type == "password":
        if data.phone:
            raise PhoneDisabled
        require_email(services)
        return await services.sign_in.with_password(data.email or "", data.password or "", asked=asked)
    if grant_type == "refresh_token":
        return await services.sessions.refresh(data.refresh_token or "", asked=asked)
    if grant_type == "pkce":
        return await services.sign_in.with_code(data.auth_code or "", data.code_verifier or "", asked=asked)
    raise InvalidCredentials("unsupported_grant_type")


@post(["/otp", "/magiclink"], status_code=200, opt={"access": Access.PROJECT})
async def otp(
    request: AnyRequest, services: Injected, data: JSONBody[OtpBody], redirect_to: RedirectTo = None
) -> Empty:
    if data.phone:
        raise PhoneDisabled
    require_email(services)
    await services.mail_flows.sign_in(
        data.email or "",
        data.data or {},
        parse_challenge(data.code_challenge, data.code_challenge_method),
        create=data.create_user is not False,
        asked=asked_by(request, services, redirect_to),
    )
    return {}


@post("/recover", status_code=200, opt={"access": Access.PROJECT})
async def recover(
    request: AnyRequest, services: Injected, data: JSONBody[RecoverBody], redirect_to: RedirectTo = None
) -> Empty:
    require_email(services)
    challenge = parse_challenge(data.code_challenge, data.code_challenge_method)
    await services.mail_flows.recover(data.email or "", challenge, asked=asked_by(request, services, redirect_to))
    return {}


@post("/resend", status_code=200, opt={"access": Access.PROJECT})
async def resend(
    request: AnyRequest, services: Injected, data: JSONBody[ResendBody], redirect_to: RedirectTo = None
) -> Empty:
    asked = asked_by(request, services, redirect_to)
    challenge = parse_challenge(data.code_challenge, data.code_challenge_method)
    if data.type in ("sms", "phone_change"):
        raise PhoneDisabled
    if data.type == "signup":
        require_email(services)
        await services.mail_flows.resend_signup(data.email or "", challenge, asked=asked)
    elif data.type == "email_change":
        await services.mail_flows.resend_email_change(data.email or "", challenge, asked=asked)
    else:
        raise ValidationFailed("Missing one of these types: signup, email_change, sms, phone_change")
    return {}


@post("/verify", status_code=200, opt={"access": Access.OPEN})
async def verify(
    request: AnyRequest, services: Injected, data: JSONBody[VerifyBody], redirect_to: RedirectTo = None
) -> Session | Half:
    asked = asked_by(request, services, redirect_to)
    if data.phone or data.type in ("sms", "phone_change"):
        raise PhoneDisabled
    if data.token_hash and not data.email and not data.token:
        return await services.verify.by_link(data.type or "", data.token_hash, asked=asked)
    if data.token and data.email and not data.token_hash:
        return await services.verify.by_code(data.type or "", data.email, data.token, asked=asked)
    raise ValidationFailed("Verify requires either a token_hash, or a token and the email it was sent to")


@get("/verify", opt={"access": Access.OPEN})
async def open_link(
    request: AnyRequest,
    services: Injected,
    token: FromQuery[str] = "",
    verify_type: Annotated[str, QueryParameter(name="type")] = "",
    redirect_to: RedirectTo = None,
) -> Redirect:
    asked = asked_by(request, services, redirect_to)
    if not token:
        raise ValidationFailed("Verify requires a token or a token hash")
    return Redirect(await services.verify.by_browser(verify_type, token, asked=asked), status_code=303)


@post("/logout", status_code=204, opt={"access": Access.USER})
async def logout(
    request: AnyRequest, services: Injected, scope_name: Annotated[str, QueryParameter(name="scope")] = "global"
) -> None:
    if scope_name not in ("global", "local", "others"):
        raise ValidationFailed(f"Unsupported logout scope: {scope_name[:40]}")
    user = await current_user(request, services)
    asked = asked_by(request, services, None)
    session_id = asked.identity.session_id
    await services.sessions.end(user.id, session_id, cast(LogoutScope, scope_name), asked=asked)


@get("/user", opt={"access": Access.USER})
async def get_user(request: AnyRequest, services: Injected) -> User:
    return await current_user(request, services)


@put("/user", opt={"access": Access.USER})
async def update_user(
    request: AnyRequest, services: Injected, data: JSONBody[UserBody], redirect_to: RedirectTo = None
) -> User:
    user = await current_user(request, services)
    if data.app_metadata is not None:
        raise NotAdmin("Updating app_metadata requires admin privileges")
    if data.phone:
        raise PhoneDisabled
    changes = Changes(
        email=data.email,
        password=data.password,
        current_password=data.current_password,
        data=data.data,
        challenge=parse_challenge(data.code_challenge, data.code_challenge_method),
    )
    return await services.profile.change(user, changes, asked=asked_by(request, services, redirect_to))


async def current_user(request: AnyRequest, services: Services) -> User:
    """The user behind the token, as long as session and user are there. Raises SessionNotFound, UserGone."""
    identity = caller(cast(Scope, request.scope))
    user_id, session_id = identity.user_id, identity.session_id
    try:
        return await services.sessions.user_of(_uuid(user_id), _uuid(session_id) if session_id else None)
    except ValueError:  # a token made elsewhere with our secret, of somebody we cannot know
        raise UserGone from None


def _uuid(text: str | None) -> str:
    return str(uuid.UUID(text))


def _address(text: str | None) -> str | None:
    """A client's address, ``None`` for a peer on a unix socket."""
    try:
        return str(ipaddress.ip_address(text)) if text else None
    except ValueError:
        return None


ROUTES = (
    health,
    settings,
    jwks,
    signup,
    token,
    otp,
    recover,
    resend,
    verify,
    open_link,
    logout,
    get_user,
    update_user,
)
