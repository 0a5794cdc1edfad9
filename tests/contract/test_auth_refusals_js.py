"""What auth refuses, as supabase-js meets it: status, code and words of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.auth import PASSWORD
from tests.contract.auth_flows import NEW_PASSWORD, WRONG_PASSWORD, address
from tests.contract.conftest import Js, Member, Server

PHONE = "'+491512345678'"
NOBODY = "'00000000-0000-4000-8000-000000000000'"
VERIFIER = (  # a client that remembers a verifier and nothing else
    "createClient(anonKey, {auth: {flowType: 'pkce', persistSession: true, storage: {...memory(),"
    " getItem: name => name.endsWith('-code-verifier') ? JSON.stringify('v'.repeat(43)) : null}}})"
)
NO_ADDRESS = "Unable to validate email address: invalid format"
NO_PHONES = "Phone sign-ins are disabled: no SMS provider is configured"
NO_MAILS = "Signing up and in with an email address is disabled"
TAKEN = "A user with this email address has already been registered"
HOW_TO_VERIFY = "Verify requires either a token_hash, or a token and the email it was sent to"
TOO_MUCH = "The metadata of a user takes at most 16384 bytes"

# name, driver, call of client.auth, status, code, message
ANYBODY: list[tuple[str, str, str, int, str, str]] = [
    ("sign-up-known", "js", "signUp({email: args.known, password: args.password})",
     422, "user_already_exists", "User already registered"),
    ("sign-up-bad-address", "js", "signUp({email: 'nope', password: args.password})",
     400, "validation_failed", NO_ADDRESS),
    ("sign-up-no-password", "js", "signUp({email: args.fresh, password: ''})",
     400, "validation_failed", "Signup requires a valid password"),
    ("sign-up-phone", "js", f"signUp({{phone: {PHONE}, password: args.password}})",
     422, "phone_provider_disabled", NO_PHONES),
    ("sign-up-closed", "closed_js", "signUp({email: args.fresh, password: args.password})",
     422, "signup_disabled", "Signups not allowed for this instance"),
    ("sign-up-mailless", "mailless_js", "signUp({email: args.fresh, password: args.password})",
     422, "email_provider_disabled", NO_MAILS),
    ("sign-up-metadata-too-large", "js",
     "signUp({email: args.fresh, password: args.password, options: {data: {x: 'x'.repeat(20000)}}})",
     400, "validation_failed", TOO_MUCH),
    ("anonymous-off", "strict_js", "signInAnonymously()",
     422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled"),
    ("anonymous-closed", "closed_js", "signInAnonymously()",
     422, "signup_disabled", "Signups not allowed for this instance"),
    ("password-wrong", "js", "signInWithPassword({email: args.known, password: args.wrong})",
     400, "invalid_credentials", "Invalid login credentials"),
    ("password-unknown", "js", "signInWithPassword({email: args.fresh, password: args.password})",
     400, "invalid_credentials", "Invalid login credentials"),
    ("password-phone", "js", f"signInWithPassword({{phone: {PHONE}, password: args.password}})",
     422, "phone_provider_disabled", NO_PHONES),
    ("password-mailless", "mailless_js", "signInWithPassword({email: args.known, password: args.password})",
     422, "email_provider_disabled", NO_MAILS),
    ("refresh-unknown", "js", "refreshSession({refresh_token: 'abcdefghijkl'})",
     400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found"),
    ("refresh-malformed", "js", "refreshSession({refresh_token: 'nonsense'})",
     400, "validation_failed", "Refresh token is not valid"),
    ("otp-new-not-wanted", "js", "signInWithOtp({email: args.fresh, options: {shouldCreateUser: false}})",
     422, "otp_disabled", "Signups not allowed for otp"),
    ("otp-closed", "closed_js", "signInWithOtp({email: args.fresh})",
     422, "otp_disabled", "Signups not allowed for otp"),
    ("otp-bad-address", "js", "signInWithOtp({email: 'nope'})", 400, "validation_failed", NO_ADDRESS),
    ("otp-phone", "js", f"signInWithOtp({{phone: {PHONE}}})", 422, "phone_provider_disabled", NO_PHONES),
    ("otp-mailless", "mailless_js", "signInWithOtp({email: args.known})", 422, "email_provider_disabled", NO_MAILS),
    ("recover-bad-address", "js", "resetPasswordForEmail('nope')", 400, "validation_failed", NO_ADDRESS),
    ("recover-mailless", "mailless_js", "resetPasswordForEmail(args.known)",
     422, "email_provider_disabled", NO_MAILS),
    ("resend-bad-address", "js", "resend({type: 'signup', email: 'nope'})", 400, "validation_failed", NO_ADDRESS),
    ("resend-bad-type", "js", "resend({type: 'letter', email: args.fresh})",
     400, "validation_failed", "Missing one of these types: signup, email_change, sms, phone_change"),
    ("resend-sms", "js", f"resend({{type: 'sms', phone: {PHONE}}})", 422, "phone_provider_disabled", NO_PHONES),
    ("resend-phone-change", "js", f"resend({{type: 'phone_change', phone: {PHONE}}})",
     422, "phone_provider_disabled", NO_PHONES),
    ("verify-wrong-code", "js", "verifyOtp({type: 'email', email: args.known, token: '000000'})",
     403, "otp_expired", "Token has expired or is invalid"),
    ("verify-unknown-hash", "js", "verifyOtp({type: 'email', token_hash: 'abc'})",
     403, "otp_expired", "Email link is invalid or has expired"),
    ("verify-nothing", "js", "verifyOtp({type: 'email', email: args.known})",
     400, "validation_failed", HOW_TO_VERIFY),
    ("verify-code-and-hash", "js", "verifyOtp({type: 'email', token: '000000', token_hash: 'abc'})",
     400, "validation_failed", HOW_TO_VERIFY),
    ("verify-hash-and-address", "js", "verifyOtp({type: 'email', email: args.known, token_hash: 'abc'})",
     400, "validation_failed", HOW_TO_VERIFY),
    ("verify-bad-type", "js", "verifyOtp({type: 'letter', token_hash: 'abc'})",
     400, "validation_failed", "Unsupported verification type: letter"),
    ("verify-sms", "js", f"verifyOtp({{type: 'sms', phone: {PHONE}, token: '000000'}})",
     422, "phone_provider_disabled", NO_PHONES),
    ("verify-phone-change", "js", f"verifyOtp({{type: 'phone_change', phone: {PHONE}, token: '000000'}})",
     422, "phone_provider_disabled", NO_PHONES),
    ("admin-with-the-anon-key", "js", "admin.listUsers()", 403, "not_admin", "User not allowed"),
]  # fmt: skip

CODES: list[tuple[str, str, int, str, str]] = [
    ("auth-code-unknown", NOBODY, 404, "flow_state_not_found", "invalid flow state, no valid flow state found"),
    ("auth-code-empty", "''",
     400, "validation_failed", "invalid request: both auth code and code verifier should be non-empty"),
]  # fmt: skip

USERS: list[tuple[str, str, int, str, str]] = [
    ("same-password", "updateUser({password: args.password})",
     422, "same_password", "New password should be different from the old password."),
    ("current-password-wrong", "updateUser({password: args.newer, current_password: args.wrong})",
     400, "current_password_invalid", "The current password is not right"),
    ("address-taken", "updateUser({email: args.known})", 422, "email_exists", TAKEN),
    ("bad-address", "updateUser({email: 'nope'})", 400, "validation_failed", NO_ADDRESS),
    ("phone", f"updateUser({{phone: {PHONE}}})", 422, "phone_provider_disabled", NO_PHONES),
    ("app-metadata", "updateUser({app_metadata: {editor: true}})",
     403, "not_admin", "Updating app_metadata requires admin privileges"),
    ("metadata-too-large", "updateUser({data: {x: 'x'.repeat(20000)}})", 400, "validation_failed", TOO_MUCH),
]  # fmt: skip

ADMINS: list[tuple[str, str, int, str, str]] = [
    ("create-taken-address", "createUser({email: args.known})", 422, "email_exists", TAKEN),
    ("create-nothing", "createUser({})",
     400, "validation_failed", "Cannot create a user without either an email or phone"),
    ("create-bad-address", "createUser({email: 'nope'})", 400, "validation_failed", NO_ADDRESS),
    ("create-bad-phone", "createUser({phone: '12ab'})",
     400, "validation_failed", "Invalid phone number format (E.164 required)"),
    ("create-bad-hash", "createUser({email: args.fresh, password_hash: 'md5'})", 400, "validation_failed", ""),
    ("create-bad-role", "createUser({email: args.fresh, role: 'postgres'})",
     400, "validation_failed", "role must be one of"),
    ("create-bad-ban", "createUser({email: args.fresh, ban_duration: 'for ever'})", 400, "validation_failed", ""),
    ("create-bad-id", "createUser({email: args.fresh, id: '7'})", 400, "validation_failed", "id must be a UUID"),
    ("read-unknown", f"getUserById({NOBODY})", 404, "user_not_found", "User not found"),
    ("update-unknown", f"updateUserById({NOBODY}, {{email: args.fresh}})", 404, "user_not_found", "User not found"),
    ("delete-unknown", f"deleteUser({NOBODY})", 404, "user_not_found", "User not found"),
    ("list-bad-page", "listUsers({page: -1})", 400, "validation_failed", "Bad Pagination Parameters: page"),
    ("invite-confirmed", "inviteUserByEmail(args.known)", 422, "email_exists", TAKEN),
    ("invite-bad-address", "inviteUserByEmail('nope')", 400, "validation_failed", NO_ADDRESS),
    ("link-unknown", "generateLink({type: 'recovery', email: args.fresh})", 404, "user_not_found", "User not found"),
    ("link-sign-up-taken", "generateLink({type: 'signup', email: args.known, password: args.password})",
     422, "email_exists", TAKEN),
    ("link-invite-taken", "generateLink({type: 'invite', email: args.known})", 422, "email_exists", TAKEN),
    ("link-sign-up-no-password", "generateLink({type: 'signup', email: args.fresh})",
     400, "validation_failed", "Signup requires a valid password"),
    ("link-no-new-address", "generateLink({type: 'email_change_new', email: args.known})",
     400, "validation_failed", "new_email is required for a link of this type"),
    ("link-bad-type", "generateLink({type: 'letter', email: args.fresh})",
     400, "validation_failed", "Unsupported link type"),
]  # fmt: skip

SIGN_UP = "await client.auth.signUp({email: args.fresh, password: args.password});"


def ids(rows: list[Any]) -> list[Any]:
    return [pytest.param(*row[1:], id=row[0]) for row in rows]


@pytest.fixture
def stage(server: Server, member: Callable[..., Member]) -> dict[str, str]:
    """What snippets find in ``args``: somebody the server knows, an address it does not, passwords."""
    return {
        "known": member(server).email,
        "fresh": address(),
        "password": PASSWORD,
        "wrong": WRONG_PASSWORD,
        "newer": NEW_PASSWORD,
    }


def check(answer: Any, status: int, code: str, words: str) -> None:
    error = answer["error"]
    assert (error["status"], error["code"]) == (status, code)
    assert words in error["message"]


@pytest.fixture
def driver(request: pytest.FixtureRequest) -> Js:
    """supabase-js for the server that a parameter names."""
    found: Js = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(("driver", "call", "status", "code", "words"), ids(ANYBODY), indirect=["driver"])
async def test_anybody_is_refused(
    driver: Js, stage: dict[str, str], call: str, status: int, code: str, words: str
) -> None:
    check(await driver(f"return await client.auth.{call}", **stage), status, code, words)


@pytest.mark.parametrize(("given", "status", "code", "words"), ids(CODES))
async def test_a_code_is_refused(js: Js, given: str, status: int, code: str, words: str) -> None:
    check(await js(f"return await {VERIFIER}.auth.exchangeCodeForSession({given})"), status, code, words)


@pytest.mark.parametrize(("call", "status", "code", "words"), ids(USERS))
async def test_a_user_is_refused(js: Js, stage: dict[str, str], call: str, status: int, code: str, words: str) -> None:
    check(await js(f"{SIGN_UP} return await client.auth.{call}", **stage), status, code, words)


@pytest.mark.parametrize(("call", "status", "code", "words"), ids(ADMINS))
async def test_the_service_key_is_refused(
    js: Js, stage: dict[str, str], call: str, status: int, code: str, words: str
) -> None:
    check(await js(f"return await createClient(serviceKey).auth.admin.{call}", **stage), status, code, words)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param("client.auth.signUp({email: args.fresh, password: 'short'})", id="sign-up"),
        pytest.param("client.auth.updateUser({password: 'short'})", id="update"),
        pytest.param("admin.createUser({email: args.fresh, password: 'short'})", id="admin-create"),
        pytest.param("admin.generateLink({type: 'signup', email: args.fresh, password: 'short'})", id="admin-link"),
    ],
)
async def test_a_weak_password_says_what_it_lacks(js: Js, call: str) -> None:
    snippet = (
        "await client.auth.signUp({email: args.mine, password: args.password});"
        f"const admin = createClient(serviceKey).auth.admin; return await {call}"
    )
    error = (await js(snippet, mine=address(), fresh=address(), password=PASSWORD))["error"]
    assert (error["name"], error["status"], error["code"]) == ("AuthWeakPasswordError", 422, "weak_password")
    assert (error["reasons"], error["message"]) == (["length"], "Password should be at least 8 characters.")


async def test_who_has_not_confirmed_is_told_only_with_the_right_password(
    strict_server: Server, strict_js: Js, member: Callable[..., Member]
) -> None:
    somebody = member(strict_server, email_confirm=False)
    snippet = "return await client.auth.signInWithPassword({email: args.email, password: args.password})"
    right = await strict_js(snippet, email=somebody.email, password=somebody.password)
    check(right, 400, "email_not_confirmed", "Email not confirmed")
    wrong = await strict_js(snippet, email=somebody.email, password=WRONG_PASSWORD)
    check(wrong, 400, "invalid_credentials", "Invalid login credentials")


async def test_an_anonymous_user_sets_no_password_without_an_address(js: Js) -> None:
    snippet = "await client.auth.signInAnonymously(); return await client.auth.updateUser({password: args.password})"
    check(await js(snippet, password=PASSWORD), 422, "validation_failed", "anonymous user")


async def test_administration_is_not_for_users(js: Js, person: Any) -> None:
    somebody = person()
    snippet = (
        "const headers = {Authorization: 'Bearer ' + args.token};"
        "const [bare] = recorded(anonKey, {without: ['authorization']});"
        "return [await createClient(anonKey, {global: {headers}}).auth.admin.listUsers(),"
        " await bare.auth.admin.listUsers(), await client.auth.admin.createUser({email: args.fresh})]"
    )
    user, nobody, anon = await js(snippet, token=somebody.token, fresh=address())
    check(user, 403, "not_admin", "User not allowed")
    check(nobody, 401, "no_authorization", "")
    check(anon, 403, "not_admin", "User not allowed")
