"""What auth refuses, as supabase-py meets it: status, code and words of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from supabase_auth.errors import AuthApiError, AuthWeakPasswordError

from tests.auth import PASSWORD
from tests.contract.auth_flows import WRONG_PASSWORD, address
from tests.contract.conftest import Member, PyMaker, Server

Call = Callable[[Any, Any], Awaitable[Any]]
PHONE = "+491512345678"
NOBODY = "00000000-0000-4000-8000-000000000000"
NO_ADDRESS = "Unable to validate email address: invalid format"
NO_PHONES = "Phone sign-ins are disabled: no SMS provider is configured"
NO_MAILS = "Signing up and in with an email address is disabled"
TAKEN = "A user with this email address has already been registered"


@dataclass(frozen=True)
class Stage:
    """Somebody the server knows, and an address it does not."""

    known: str
    new: str


# name, server, call, status, code, message
ANYBODY: list[tuple[str, str, Call, int, str, str]] = [
    ("sign-up-known", "server", lambda a, s: a.sign_up({"email": s.known, "password": PASSWORD}),
     422, "user_already_exists", "User already registered"),
    ("sign-up-bad-address", "server", lambda a, s: a.sign_up({"email": "nope", "password": PASSWORD}),
     400, "validation_failed", NO_ADDRESS),
    ("sign-up-phone", "server", lambda a, s: a.sign_up({"phone": PHONE, "password": PASSWORD}),
     422, "phone_provider_disabled", NO_PHONES),
    ("sign-up-closed", "closed_server", lambda a, s: a.sign_up({"email": s.new, "password": PASSWORD}),
     422, "signup_disabled", "Signups not allowed for this instance"),
    ("sign-up-mailless", "mailless_server", lambda a, s: a.sign_up({"email": s.new, "password": PASSWORD}),
     422, "email_provider_disabled", NO_MAILS),
    ("sign-up-metadata-too-large", "server",
     lambda a, s: a.sign_up({"email": s.new, "password": PASSWORD, "options": {"data": {"x": "x" * 20_000}}}),
     400, "validation_failed", "The metadata of a user takes at most 16384 bytes"),
    ("anonymous-off", "strict_server", lambda a, s: a.sign_in_anonymously(),
     422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled"),
    ("anonymous-closed", "closed_server", lambda a, s: a.sign_in_anonymously(),
     422, "signup_disabled", "Signups not allowed for this instance"),
    ("password-wrong", "server", lambda a, s: a.sign_in_with_password({"email": s.known, "password": WRONG_PASSWORD}),
     400, "invalid_credentials", "Invalid login credentials"),
    ("password-unknown", "server", lambda a, s: a.sign_in_with_password({"email": s.new, "password": PASSWORD}),
     400, "invalid_credentials", "Invalid login credentials"),
    ("password-phone", "server", lambda a, s: a.sign_in_with_password({"phone": PHONE, "password": PASSWORD}),
     422, "phone_provider_disabled", NO_PHONES),
    ("password-mailless", "mailless_server",
     lambda a, s: a.sign_in_with_password({"email": s.known, "password": PASSWORD}),
     422, "email_provider_disabled", NO_MAILS),
    ("refresh-unknown", "server", lambda a, s: a.refresh_session("abcdefghijkl"),
     400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found"),
    ("refresh-malformed", "server", lambda a, s: a.refresh_session("nonsense"),
     400, "validation_failed", "Refresh token is not valid"),
    ("auth-code-unknown", "server",
     lambda a, s: a.exchange_code_for_session({"auth_code": NOBODY, "code_verifier": "v" * 43, "redirect_to": ""}),
     404, "flow_state_not_found", "invalid flow state, no valid flow state found"),
    ("auth-code-empty", "server",
     lambda a, s: a.exchange_code_for_session({"auth_code": "", "code_verifier": "v" * 43, "redirect_to": ""}),
     400, "validation_failed", "invalid request: both auth code and code verifier should be non-empty"),
    ("otp-new-not-wanted", "server",
     lambda a, s: a.sign_in_with_otp({"email": s.new, "options": {"should_create_user": False}}),
     422, "otp_disabled", "Signups not allowed for otp"),
    ("otp-closed", "closed_server", lambda a, s: a.sign_in_with_otp({"email": s.new}),
     422, "otp_disabled", "Signups not allowed for otp"),
    ("otp-bad-address", "server", lambda a, s: a.sign_in_with_otp({"email": "nope"}),
     400, "validation_failed", NO_ADDRESS),
    ("otp-phone", "server", lambda a, s: a.sign_in_with_otp({"phone": PHONE}),
     422, "phone_provider_disabled", NO_PHONES),
    ("otp-mailless", "mailless_server", lambda a, s: a.sign_in_with_otp({"email": s.known}),
     422, "email_provider_disabled", NO_MAILS),
    ("recover-bad-address", "server", lambda a, s: a.reset_password_for_email("nope"),
     400, "validation_failed", NO_ADDRESS),
    ("recover-mailless", "mailless_server", lambda a, s: a.reset_password_for_email(s.known),
     422, "email_provider_disabled", NO_MAILS),
    ("resend-bad-address", "server", lambda a, s: a.resend({"type": "signup", "email": "nope"}),
     400, "validation_failed", NO_ADDRESS),
    ("resend-bad-type", "server", lambda a, s: a.resend({"type": "letter", "email": s.new}),
     400, "validation_failed", "Missing one of these types: signup, email_change, sms, phone_change"),
    ("resend-sms", "server", lambda a, s: a.resend({"type": "sms", "phone": PHONE}),
     422, "phone_provider_disabled", NO_PHONES),
    ("resend-phone-change", "server", lambda a, s: a.resend({"type": "phone_change", "phone": PHONE}),
     422, "phone_provider_disabled", NO_PHONES),
    ("verify-wrong-code", "server", lambda a, s: a.verify_otp({"type": "email", "email": s.known, "token": "000000"}),
     403, "otp_expired", "Token has expired or is invalid"),
    ("verify-unknown-hash", "server", lambda a, s: a.verify_otp({"type": "email", "token_hash": "abc"}),
     403, "otp_expired", "Email link is invalid or has expired"),
    ("verify-nothing", "server", lambda a, s: a.verify_otp({"type": "email", "email": s.known}),
     400, "validation_failed", "Verify requires either a token_hash, or a token and the email it was sent to"),
    ("verify-code-and-hash", "server",
     lambda a, s: a.verify_otp({"type": "email", "token": "000000", "token_hash": "abc"}),
     400, "validation_failed", "Verify requires either a token_hash, or a token and the email it was sent to"),
    ("verify-hash-and-address", "server",
     lambda a, s: a.verify_otp({"type": "email", "email": s.known, "token_hash": "abc"}),
     400, "validation_failed", "Verify requires either a token_hash, or a token and the email it was sent to"),
    ("verify-bad-type", "server", lambda a, s: a.verify_otp({"type": "letter", "token_hash": "abc"}),
     400, "validation_failed", "Unsupported verification type: letter"),
    ("verify-sms", "server", lambda a, s: a.verify_otp({"type": "sms", "phone": PHONE, "token": "000000"}),
     422, "phone_provider_disabled", NO_PHONES),
    ("verify-phone-change", "server",
     lambda a, s: a.verify_otp({"type": "phone_change", "phone": PHONE, "token": "000000"}),
     422, "phone_provider_disabled", NO_PHONES),
    ("admin-with-the-anon-key", "server", lambda a, s: a.admin.list_users(), 403, "not_admin", "User not allowed"),
]  # fmt: skip

USERS: list[tuple[str, Call, int, str, str]] = [
    ("same-password", lambda a, s: a.update_user({"password": PASSWORD}),
     422, "same_password", "New password should be different from the old password."),
    ("current-password-wrong",
     lambda a, s: a.update_user({"password": "yet another horse", "current_password": WRONG_PASSWORD}),
     400, "current_password_invalid", "The current password is not right"),
    ("address-taken", lambda a, s: a.update_user({"email": s.known}), 422, "email_exists", TAKEN),
    ("bad-address", lambda a, s: a.update_user({"email": "nope"}), 400, "validation_failed", NO_ADDRESS),
    ("phone", lambda a, s: a.update_user({"phone": PHONE}), 422, "phone_provider_disabled", NO_PHONES),
    ("app-metadata", lambda a, s: a.update_user({"app_metadata": {"editor": True}}),
     403, "not_admin", "Updating app_metadata requires admin privileges"),
    ("metadata-too-large", lambda a, s: a.update_user({"data": {"x": "x" * 20_000}}),
     400, "validation_failed", "The metadata of a user takes at most 16384 bytes"),
]  # fmt: skip

ADMINS: list[tuple[str, Call, int, str, str]] = [
    ("create-taken-address", lambda a, s: a.create_user({"email": s.known}), 422, "email_exists", TAKEN),
    ("create-nothing", lambda a, s: a.create_user({}),
     400, "validation_failed", "Cannot create a user without either an email or phone"),
    ("create-bad-address", lambda a, s: a.create_user({"email": "nope"}), 400, "validation_failed", NO_ADDRESS),
    ("create-bad-phone", lambda a, s: a.create_user({"phone": "12ab"}),
     400, "validation_failed", "Invalid phone number format (E.164 required)"),
    ("create-bad-hash", lambda a, s: a.create_user({"email": s.new, "password_hash": "md5"}),
     400, "validation_failed", ""),
    ("create-bad-role", lambda a, s: a.create_user({"email": s.new, "role": "postgres"}),
     400, "validation_failed", "role must be one of"),
    ("create-bad-ban", lambda a, s: a.create_user({"email": s.new, "ban_duration": "for ever"}),
     400, "validation_failed", ""),
    ("create-bad-id", lambda a, s: a.create_user({"email": s.new, "id": "7"}), 400, "validation_failed", "id must be a UUID"),
    ("read-unknown", lambda a, s: a.get_user_by_id(NOBODY), 404, "user_not_found", "User not found"),
    ("update-unknown", lambda a, s: a.update_user_by_id(NOBODY, {"email": s.new}),
     404, "user_not_found", "User not found"),
    ("delete-unknown", lambda a, s: a.delete_user(NOBODY), 404, "user_not_found", "User not found"),
    ("list-bad-page", lambda a, s: a.list_users(page=-1), 400, "validation_failed", "Bad Pagination Parameters: page"),
    ("invite-confirmed", lambda a, s: a.invite_user_by_email(s.known), 422, "email_exists", TAKEN),
    ("invite-bad-address", lambda a, s: a.invite_user_by_email("nope"), 400, "validation_failed", NO_ADDRESS),
    ("link-unknown", lambda a, s: a.generate_link({"type": "recovery", "email": s.new}),
     404, "user_not_found", "User not found"),
    ("link-sign-up-taken", lambda a, s: a.generate_link({"type": "signup", "email": s.known, "password": PASSWORD}),
     422, "email_exists", TAKEN),
    ("link-invite-taken", lambda a, s: a.generate_link({"type": "invite", "email": s.known}),
     422, "email_exists", TAKEN),
    ("link-sign-up-no-password", lambda a, s: a.generate_link({"type": "signup", "email": s.new}),
     400, "validation_failed", "Signup requires a valid password"),
    ("link-no-new-address", lambda a, s: a.generate_link({"type": "email_change_new", "email": s.known}),
     400, "validation_failed", "new_email is required for a link of this type"),
    ("link-bad-type", lambda a, s: a.generate_link({"type": "letter", "email": s.new}),
     400, "validation_failed", "Unsupported link type"),
]  # fmt: skip


def ids(rows: list[Any]) -> list[Any]:
    return [pytest.param(*row[1:], id=row[0]) for row in rows]


@pytest.fixture
def stage(member: Callable[..., Member], server: Server) -> Stage:
    return Stage(known=member(server).email, new=address())


async def refused(call: Awaitable[Any]) -> AuthApiError:
    with pytest.raises(AuthApiError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize(("there", "call", "status", "code", "words"), ids(ANYBODY), indirect=["there"])
async def test_anybody_is_refused(
    there: Server, supabase_py: PyMaker, stage: Stage, call: Call, status: int, code: str, words: str
) -> None:
    error = await refused(call(supabase_py(there).auth, stage))
    assert (error.status, error.code) == (status, code)
    assert words in error.message


@pytest.mark.parametrize(("call", "status", "code", "words"), ids(USERS))
async def test_a_user_is_refused(
    server: Server, supabase_py: PyMaker, stage: Stage, call: Call, status: int, code: str, words: str
) -> None:
    me = supabase_py(server).auth
    await me.sign_up({"email": address(), "password": PASSWORD})
    error = await refused(call(me, stage))
    assert (error.status, error.code) == (status, code)
    assert words in error.message


@pytest.mark.parametrize(("call", "status", "code", "words"), ids(ADMINS))
async def test_the_service_key_is_refused(
    server: Server, supabase_py: PyMaker, stage: Stage, call: Call, status: int, code: str, words: str
) -> None:
    error = await refused(call(supabase_py(server, server.service_key).auth.admin, stage))
    assert (error.status, error.code) == (status, code)
    assert words in error.message


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda a, s: a.sign_up({"email": s.new, "password": "short"}), id="sign-up"),
        pytest.param(lambda a, s: a.update_user({"password": "short"}), id="update"),
        pytest.param(lambda a, s: a.admin.create_user({"email": s.new, "password": "short"}), id="admin-create"),
        pytest.param(lambda a, s: a.admin.generate_link({"type": "signup", "email": s.new, "password": "short"}),
                     id="admin-link"),
    ],
)  # fmt: skip
async def test_a_weak_password_says_what_it_lacks(
    server: Server, supabase_py: PyMaker, stage: Stage, call: Call, request: pytest.FixtureRequest
) -> None:
    client = supabase_py(server, server.service_key if "admin" in request.node.name else None).auth
    if "update" in request.node.name:
        await client.sign_up({"email": address(), "password": PASSWORD})
    with pytest.raises(AuthWeakPasswordError) as caught:
        await call(client, stage)
    assert (caught.value.status, caught.value.code, list(caught.value.reasons)) == (422, "weak_password", ["length"])
    assert caught.value.message == "Password should be at least 8 characters."


async def test_who_has_not_confirmed_is_told_only_with_the_right_password(
    strict_server: Server, supabase_py: PyMaker, member: Callable[..., Member]
) -> None:
    somebody = member(strict_server, email_confirm=False)
    me = supabase_py(strict_server).auth
    right = await refused(me.sign_in_with_password({"email": somebody.email, "password": somebody.password}))
    assert (right.status, right.code, right.message) == (400, "email_not_confirmed", "Email not confirmed")
    wrong = await refused(me.sign_in_with_password({"email": somebody.email, "password": WRONG_PASSWORD}))
    assert wrong.code == "invalid_credentials"


async def test_an_anonymous_user_sets_no_password_without_an_address(server: Server, supabase_py: PyMaker) -> None:
    me = supabase_py(server).auth
    await me.sign_in_anonymously()
    error = await refused(me.update_user({"password": PASSWORD}))
    assert (error.status, error.code) == (422, "validation_failed")


async def test_administration_is_not_for_users(server: Server, supabase_py: PyMaker, person: Any) -> None:
    somebody = person()
    headers = {"Authorization": f"Bearer {somebody.token}"}
    error = await refused(supabase_py(server, headers=headers).auth.admin.list_users())
    assert (error.status, error.code, error.message) == (403, "not_admin", "User not allowed")
    error = await refused(supabase_py(server, without=["authorization"]).auth.admin.list_users())
    assert (error.status, error.code) == (401, "no_authorization")
    error = await refused(supabase_py(server).auth.admin.create_user({"email": address()}))
    assert (error.status, error.code) == (403, "not_admin")
