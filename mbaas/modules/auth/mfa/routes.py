"""Factors, recovery codes and passkeys over HTTP. Thin: read, call, answer."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody

from mbaas.modules.auth.access import Access
from mbaas.modules.auth.addresses import Contact
from mbaas.modules.auth.errors import ValidationFailed
from mbaas.modules.auth.mfa.bodies import (
    ChallengeBody,
    EnrollBody,
    FactorAnswerBody,
    GenerateBody,
    PasskeyAnswerBody,
    RecoveryCodeBody,
    RenameBody,
)
from mbaas.modules.auth.mfa.factors import Answer, Challenged, Enrolled
from mbaas.modules.auth.mfa.passkeys import Ceremony, Passkey
from mbaas.modules.auth.mfa.recovery_codes import Generated, Status
from mbaas.modules.auth.objects import Factor, Session
from mbaas.modules.auth.routes import AnyRequest, Injected, asked_by, contact_of, current_holder

_T = TypeVar("_T")


async def optional_body(request: AnyRequest, kind: type[_T]) -> _T:
    """Of a request that may come without any."""
    raw = await request.body()
    return msgspec.json.decode(raw, type=kind) if raw.strip() else kind()


# --- factors ---------------------------------------------------------------------------------------------------------


@post("/factors", status_code=200, opt={"access": Access.FIRST_FACTOR})
async def enroll(request: AnyRequest, services: Injected, data: JSONBody[EnrollBody]) -> Enrolled:
    phone: Contact | None = None
    holder = await current_holder(request, services)
    if data.factor_type == "phone" and services.messages.phone_channels:
        phone = contact_of(services, None, data.phone or "", None)
    return await services.factors.enroll(
        holder,
        data.factor_type or "",
        data.friendly_name or "",
        issuer=data.issuer,
        phone=phone,
        asked=asked_by(request, services, None),
    )


@post("/factors/{factor_id:str}/challenge", status_code=200, opt={"access": Access.FIRST_FACTOR})
async def challenge(request: AnyRequest, services: Injected, factor_id: FromPath[str]) -> Challenged:
    data = await optional_body(request, ChallengeBody)
    wanted = data.webauthn
    return await services.factors.challenge(
        await current_holder(request, services),
        factor_id,
        channel=data.channel,
        rp_id=wanted.rp_id if wanted else None,
        origins=(wanted.rp_origins or []) if wanted else [],
        asked=asked_by(request, services, None),
    )


@post("/factors/{factor_id:str}/verify", status_code=200, opt={"access": Access.FIRST_FACTOR})
async def verify_factor(
    request: AnyRequest, services: Injected, factor_id: FromPath[str], data: JSONBody[FactorAnswerBody]
) -> Session:
    answer = Answer(
        challenge_id=data.challenge_id or "",
        code=data.code or "",
        credential=data.webauthn.credential_response if data.webauthn else None,
    )
    holder = await current_holder(request, services)
    return await services.factors.verify(holder, factor_id, answer, asked=asked_by(request, services, None))


@delete("/factors/{factor_id:str}", status_code=200, opt={"access": Access.FIRST_FACTOR})
async def unenroll(request: AnyRequest, services: Injected, factor_id: FromPath[str]) -> dict[str, str]:
    holder = await current_holder(request, services)
    return {"id": await services.factors.unenroll(holder, factor_id, asked=asked_by(request, services, None))}


# --- recovery codes --------------------------------------------------------------------------------------------------


@get("/factors/recovery-codes", opt={"access": Access.FIRST_FACTOR})
async def recovery_codes(request: AnyRequest, services: Injected) -> Status:
    return await services.recovery_codes.status(await current_holder(request, services))


@post("/factors/recovery-codes", status_code=200, opt={"access": Access.USER})
async def generate_codes(request: AnyRequest, services: Injected) -> Generated:
    data = await optional_body(request, GenerateBody)
    holder, asked = await current_holder(request, services), asked_by(request, services, None)
    return await services.recovery_codes.generate(holder, data.friendly_name, asked=asked)


@post("/factors/recovery-codes/regenerate", status_code=200, opt={"access": Access.USER})
async def regenerate_codes(request: AnyRequest, services: Injected) -> Generated:
    holder, asked = await current_holder(request, services), asked_by(request, services, None)
    return await services.recovery_codes.regenerate(holder, asked=asked)


@post("/factors/recovery-codes/verify", status_code=200, opt={"access": Access.FIRST_FACTOR})
async def verify_code(request: AnyRequest, services: Injected, data: JSONBody[RecoveryCodeBody]) -> Session:
    holder, asked = await current_holder(request, services), asked_by(request, services, None)
    return await services.recovery_codes.verify(holder, data.code or "", asked=asked)


@delete("/factors/recovery-codes", status_code=200, opt={"access": Access.USER})
async def unenroll_codes(request: AnyRequest, services: Injected) -> dict[str, str]:
    holder, asked = await current_holder(request, services), asked_by(request, services, None)
    return {"id": await services.recovery_codes.unenroll(holder, asked=asked)}


# --- passkeys --------------------------------------------------------------------------------------------------------


@post("/passkeys/registration/options", status_code=200, opt={"access": Access.FIRST_FACTOR})
async def passkey_registration(request: AnyRequest, services: Injected) -> Ceremony:
    return await services.passkeys.begin_registration(await current_holder(request, services))


@post("/passkeys/registration/verify", status_code=200, opt={"access": Access.FIRST_FACTOR})
async def register_passkey(request: AnyRequest, services: Injected, data: JSONBody[PasskeyAnswerBody]) -> Passkey:
    holder, asked = await current_holder(request, services), asked_by(request, services, None)
    challenge_id, credential = _answered(data)
    return await services.passkeys.register(holder, challenge_id, credential, asked=asked)


@post("/passkeys/authentication/options", status_code=200, opt={"access": Access.PROJECT})
async def passkey_authentication(services: Injected) -> Ceremony:
    return await services.passkeys.begin_sign_in()


@post("/passkeys/authentication/verify", status_code=200, opt={"access": Access.PROJECT})
async def sign_in_by_passkey(request: AnyRequest, services: Injected, data: JSONBody[PasskeyAnswerBody]) -> Session:
    challenge_id, credential = _answered(data)
    asked = asked_by(request, services, None)
    return await services.passkeys.sign_in(challenge_id, credential, asked=asked)


@get("/passkeys", opt={"access": Access.FIRST_FACTOR})
async def list_passkeys(request: AnyRequest, services: Injected) -> list[Passkey]:
    return await services.passkeys.of_user((await current_holder(request, services)).user.id)


@patch("/passkeys/{passkey_id:str}", opt={"access": Access.USER})
async def rename_passkey(
    request: AnyRequest, services: Injected, passkey_id: FromPath[str], data: JSONBody[RenameBody]
) -> Passkey:
    user = (await current_holder(request, services)).user
    return await services.passkeys.rename(user.id, passkey_id, data.friendly_name or "")


@delete("/passkeys/{passkey_id:str}", status_code=204, opt={"access": Access.USER})
async def remove_passkey(request: AnyRequest, services: Injected, passkey_id: FromPath[str]) -> None:
    holder, asked = await current_holder(request, services), asked_by(request, services, None)
    await services.passkeys.remove_own(holder, passkey_id, asked=asked)


# --- for the service key ---------------------------------------------------------------------------------------------


@get("/admin/users/{user_id:str}/factors", opt={"access": Access.SERVICE})
async def list_factors_of(services: Injected, user_id: FromPath[str]) -> list[Factor]:
    return (await services.admin.user(user_id)).factors


@delete("/admin/users/{user_id:str}/factors/{factor_id:str}", status_code=200, opt={"access": Access.SERVICE})
async def remove_factor_of(
    request: AnyRequest, services: Injected, user_id: FromPath[str], factor_id: FromPath[str]
) -> Factor:
    user = await services.admin.user(user_id)
    return await services.factors.remove(user.id, factor_id, asked=asked_by(request, services, None))


@get("/admin/users/{user_id:str}/passkeys", opt={"access": Access.SERVICE})
async def list_passkeys_of(services: Injected, user_id: FromPath[str]) -> list[Passkey]:
    return await services.passkeys.of_user((await services.admin.user(user_id)).id)


@delete("/admin/users/{user_id:str}/passkeys/{passkey_id:str}", status_code=204, opt={"access": Access.SERVICE})
async def remove_passkey_of(
    request: AnyRequest, services: Injected, user_id: FromPath[str], passkey_id: FromPath[str]
) -> None:
    user = await services.admin.user(user_id)
    await services.passkeys.remove(user.id, passkey_id, asked=asked_by(request, services, None))


def _answered(data: PasskeyAnswerBody) -> tuple[str, dict[str, Any]]:
    if not data.challenge_id or data.credential is None:
        raise ValidationFailed("challenge_id and credential are required")
    return data.challenge_id, data.credential


MFA_ROUTES = (
    enroll,
    challenge,
    verify_factor,
    unenroll,
    recovery_codes,
    generate_codes,
    regenerate_codes,
    verify_code,
    unenroll_codes,
    passkey_registration,
    register_passkey,
    passkey_authentication,
    sign_in_by_passkey,
    list_passkeys,
    rename_passkey,
    remove_passkey,
    list_factors_of,
    remove_factor_of,
    list_passkeys_of,
    remove_passkey_of,
)
