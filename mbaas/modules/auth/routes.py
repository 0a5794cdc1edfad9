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

from mbaas.adapters.messages.locale import accepted
from mbaas.adapters.sms.provider import Channel
from mbaas.http.caller import caller
from mbaas.http.respond import Scope
from mbaas.modules.auth.access import Access, first_factor_caller, project_caller
from mbaas.modules.auth.addresses import Contact, country_of, parse_email, parse_phone
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.bodies import OtpBody, RecoverBody, ResendBody, SignUpBody, TokenBody, UserBody, VerifyBody
from mbaas.modules.auth.errors import (
    ChangeNeedsAal2,
    EmailDisabled,
    InvalidCredentials,
    NoAuthorization,
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
from mbaas.modules.auth.sessions import Holder
from mbaas.modules.auth.sessions import Scope as LogoutScope
from mbaas.modules.auth.verify import BY_PHONE, Half

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
        languages=accepted(request.headers.get("accept-language")),
        user_agent=(request.headers.get("user-agent") or "")[:500].replace("\x00", "") or None,
        request_id=scope["state"].get("request_id"),
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
        "phone": bool(services.messages.phone_channels),
        "anonymous_users": policy.anonymous,
        **{f"web3_{name}": name in services.web3_grant.chains for name in ("ethereum", "solana")},
        **{name: name in services.oauth.providers for name in (*PROVIDERS, *services.oauth.providers)},
    }
    return {
        "external": external,
        "disable_signup": policy.disable_signup,
        "mailer_autoconfirm": policy.autoconfirm,
        "phone_autoconfirm": policy.phone_autoconfirm,
        "sms_provider": services.messages.sms_provider,
        "saml_enabled": False,
        "passkeys_enabled": policy.passkeys,
    }


@get("/.well-known/jwks.json", opt={"access": Access.OPEN})
async def jwks(services: Injected) -> Response[dict[str, Any]]:
    keys = services.tokens.public_keys(now=services.clock.now())
    return Response(keys, headers={"cache-control": "public, max-age=600"})


@get("/.well-known/openid-configuration", opt={"access": Access.OPEN})
async def metadata(services: Injected) -> Response[dict[str, Any]]:
    """Where others find what our tokens are checked with (OpenID Connect Discovery 1.0). Nobody signs in elsewhere
    through us, so nothing of that is among it.
    """
    told = {
        "issuer": services.auth_url,
        "jwks_uri": f"{services.auth_url}/.well-known/jwks.json",
        "userinfo_endpoint": f"{services.auth_url}/user",
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }
    return Response(told, headers={"cache-control": "public, max-age=600"})


@post("/signup", status_code=200, opt={"access": Access.PROJECT})
async def signup(
    request: AnyRequest, services: Injected, data: JSONBody[SignUpBody], redirect_to: RedirectTo = None
) -> Session | User:
    asked = asked_by(request, services, redirect_to)
    await services.admission.message(data.gotrue_meta_security, asked=asked)
    if not data.email and not data.phone:
        return await services.sign_up.anonymously(data.data or {}, asked=asked)
    challenge = parse_challenge(data.code_challenge, data.code_challenge_method)
    contact = contact_of(services, data.email, data.phone, data.channel)
    return await services.sign_up.with_password(contact, data.password or "", data.data or {}, challenge, asked=asked)


@post("/token", status_code=200, opt={"access": Access.PROJECT})
async def token(
    request: AnyRequest, services: Injected, data: JSONBody[TokenBody], grant_type: FromQuery[str] = ""
) -> Session:
    asked = asked_by(request, services, None)
    if grant_type == "password":
        await services.admission.check(data.gotrue_meta_security, asked=asked)
        if data.phone and not services.messages.phone_channels:
            raise PhoneDisabled
        contact: Contact | None
        if not data.phone:
            require_email(services)
        try:
            contact = Contact(parse_phone(data.phone), "sms") if data.phone else Contact(parse_email(data.email or ""))
        except ValidationFailed:
            contact = None
        return await services.sign_in.with_password(contact, data.password or "", asked=asked)
    if grant_type == "refresh_token":
        return await services.sessions.refresh(data.refresh_token or "", asked=asked)
    if grant_type == "pkce":
        return await services.sign_in.with_code(data.auth_code or "", data.code_verifier or "", asked=asked)
    if grant_type == "id_token":
        linking = await _linking(request, services) if data.link_identity else None
        return await services.id_token_grant.session(data, linking, asked=asked)
    if grant_type == "web3":
        services.web3_grant.require_any()
        await services.admission.message(data.gotrue_meta_security, asked=asked)
        return await services.web3_grant.session(data, asked=asked)
    raise InvalidCredentials("unsupported_grant_type")


@post(["/otp", "/magiclink"], status_code=200, opt={"access": Access.PROJECT})
async def otp(
    request: AnyRequest, services: Injected, data: JSONBody[OtpBody], redirect_to: RedirectTo = None
) -> Empty:
    asked = asked_by(request, services, redirect_to)
    await services.admission.message(data.gotrue_meta_security, asked=asked)
    contact = contact_of(services, data.email, data.phone, data.channel)
    begun = await services.mail_flows.sign_in(
        contact,
        data.data or {},
        parse_challenge(data.code_challenge, data.code_challenge_method),
        create=data.create_user is not False,
        asked=asked,
    )
    return {"message_id": begun} if contact.via else {}


@post("/recover", status_code=200, opt={"access": Access.PROJECT})
async def recover(
    request: AnyRequest, services: Injected, data: JSONBody[RecoverBody], redirect_to: RedirectTo = None
) -> Empty:
    asked = asked_by(request, services, redirect_to)
    await services.admission.message(data.gotrue_meta_security, asked=asked)
    require_email(services)
    challenge = parse_challenge(data.code_challenge, data.code_challenge_method)
    contact = Contact(parse_email(data.email or ""))
    await services.mail_flows.recover(contact, challenge, asked=asked)
    return {}


@post("/resend", status_code=200, opt={"access": Access.PROJECT})
async def resend(
    request: AnyRequest, services: Injected, data: JSONBody[ResendBody], redirect_to: RedirectTo = None
) -> Empty:
    asked = asked_by(request, services, redirect_to)
    await services.admission.message(data.gotrue_meta_security, asked=asked)
    challenge = parse_challenge(data.code_challenge, data.code_challenge_method)
    if data.type not in ("signup", "email_change", "sms", "phone_change"):
        raise ValidationFailed("Missing one of these types: signup, email_change, sms, phone_change")
    by_phone = data.type in ("sms", "phone_change")
    contact = contact_of(services, None if by_phone else data.email or "", data.phone or "", data.channel)
    resend = services.mail_flows.resend_signup if data.type in ("signup", "sms") else services.mail_flows.resend_change
    begun = await resend(contact, challenge, asked=asked)
    return {"message_id": begun} if by_phone else {}


@post("/verify", status_code=200, opt={"access": Access.OPEN})
async def verify(
    request: AnyRequest, services: Injected, data: JSONBody[VerifyBody], redirect_to: RedirectTo = None
) -> Session | Half:
    asked = asked_by(request, services, redirect_to)
    if data.token_hash and not data.email and not data.token:
        return await services.verify.by_link(data.type or "", data.token_hash, asked=asked)
    if data.type in BY_PHONE and not services.messages.phone_channels:
        raise PhoneDisabled
    address = data.phone if data.type in BY_PHONE else data.email
    if data.token and address and not data.token_hash:
        return await services.verify.by_code(data.type or "", address, data.token, asked=asked)
    where = "phone" if data.type in BY_PHONE else "email"
    raise ValidationFailed(f"Verify requires either a token_hash, or a token and the {where} it was sent to")


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


@post("/logout", status_code=204, opt={"access": Access.FIRST_FACTOR})
async def logout(
    request: AnyRequest, services: Injected, scope_name: Annotated[str, QueryParameter(name="scope")] = "global"
) -> None:
    if scope_name not in ("global", "local", "others"):
        raise ValidationFailed(f"Unsupported logout scope: {scope_name[:40]}")
    user = await current_user(request, services)
    asked = asked_by(request, services, None)
    session_id = asked.identity.session_id
    await services.sessions.end(user.id, session_id, cast(LogoutScope, scope_name), asked=asked)


@get("/user", opt={"access": Access.FIRST_FACTOR})
async def get_user(request: AnyRequest, services: Injected) -> User:
    return await current_user(request, services)


@put("/user", opt={"access": Access.USER})
async def update_user(
    request: AnyRequest, services: Injected, data: JSONBody[UserBody], redirect_to: RedirectTo = None
) -> User:
    holder = await current_holder(request, services)
    user = holder.user
    if data.app_metadata is not None:
        raise NotAdmin("Updating app_metadata requires admin privileges")
    if (data.email or data.phone or data.password) and user.has_factor and holder.aal != "aal2":
        raise ChangeNeedsAal2
    changes = Changes(
        email=data.email,
        phone=contact_of(services, None, data.phone, data.channel) if data.phone else None,
        nonce=data.nonce,
        password=data.password,
        current_password=data.current_password,
        data=data.data,
        challenge=parse_challenge(data.code_challenge, data.code_challenge_method),
    )
    return await services.profile.change(user, changes, asked=asked_by(request, services, redirect_to))


@get("/reauthenticate", opt={"access": Access.USER})
async def reauthenticate(request: AnyRequest, services: Injected) -> Empty:
    user = await current_user(request, services)
    await services.profile.reauthenticate(user, asked=asked_by(request, services, None))
    return {}


def contact_of(services: Services, email: str | None, phone: str | None, channel: str | None) -> Contact:
    """Where a request wants a message: at the address when it names one, else at the phone.

    Raises ValidationFailed, PhoneDisabled when phones, or this one's country, are not written to.
    """
    if email and phone:
        raise ValidationFailed("Only an email address or phone number should be provided")
    if not phone and (email or phone is None):
        require_email(services)
        return Contact(parse_email(email or ""))
    via = cast(Channel, channel or "sms")
    channels = services.messages.phone_channels
    if not channels:
        raise PhoneDisabled
    if via not in channels:
        raise ValidationFailed(f"Invalid channel, supported values are {', '.join(sorted(channels))}")
    number = parse_phone(phone or "")
    country, allowed = country_of(number), services.policy.countries
    if country is None or (allowed and country not in allowed):
        raise PhoneDisabled("No messages are sent to numbers of that kind or country")
    return Contact(number, via)


async def _linking(request: AnyRequest, services: Services) -> User:
    """Who wants one more way in. Raises ManualLinkingDisabled, NoAuthorization, what was wrong with the token."""
    if caller(cast(Scope, request.scope)).user_id is None:
        raise NoAuthorization
    services.oauth.identities.require_linking()
    return await current_user(request, services)


async def current_holder(request: AnyRequest, services: Services) -> Holder:
    """Who the token is of, as long as user and session are there. Raises SessionNotFound, UserGone."""
    identity = first_factor_caller(cast(Scope, request.scope))  # the route's access was checked before
    user_id, session_id = identity.user_id, identity.session_id
    try:
        return await services.sessions.holder_of(
            _uuid(user_id), _uuid(session_id) if session_id else None, aal=identity.aal
        )
    except ValueError:  # a token made elsewhere with our secret, of somebody we cannot know
        raise UserGone from None


async def current_user(request: AnyRequest, services: Services) -> User:
    """The user alone."""
    return (await current_holder(request, services)).user


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
    metadata,
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
    reauthenticate,
)
