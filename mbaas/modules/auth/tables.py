"""The tables of schema ``auth``, as Piccolo builds statements over them. Made by ``0002_auth.sql`` and later ones.

Generated columns (``confirmed_at``, an identity's ``email``) are left out: nobody writes them.
"""

from __future__ import annotations

from piccolo.columns import JSONB, UUID, Array, BigInt, Boolean, Bytea, Integer, SmallInt, Text, Timestamptz
from piccolo.columns.base import Column
from piccolo.table import Table

from mbaas.adapters.postgres.piccolo import POSTGRES


class Inet(Column):
    """An IPv4 or IPv6 address."""

    value_type = str


class Users(Table, tablename="users", schema="auth", db=POSTGRES):
    id = UUID(primary_key=True, default=None)
    aud = Text()
    role = Text()
    email = Text(null=True)
    encrypted_password = Text(null=True)
    email_confirmed_at = Timestamptz(null=True)
    invited_at = Timestamptz(null=True)
    confirmation_sent_at = Timestamptz(null=True)
    recovery_sent_at = Timestamptz(null=True)
    email_change = Text(null=True)
    email_change_sent_at = Timestamptz(null=True)
    email_change_confirm_status = SmallInt()
    phone = Text(null=True)
    phone_confirmed_at = Timestamptz(null=True)
    last_sign_in_at = Timestamptz(null=True)
    raw_app_meta_data = JSONB()
    raw_user_meta_data = JSONB()
    is_sso_user = Boolean()
    is_anonymous = Boolean()
    banned_until = Timestamptz(null=True)
    created_at = Timestamptz()
    updated_at = Timestamptz()
    deleted_at = Timestamptz(null=True)
    phone_change = Text(null=True)
    phone_change_sent_at = Timestamptz(null=True)
    reauthentication_sent_at = Timestamptz(null=True)


class Identities(Table, tablename="identities", schema="auth", db=POSTGRES):
    id = UUID(primary_key=True, default=None)
    provider_id = Text()
    user_id = UUID()
    identity_data = JSONB()
    provider = Text()
    last_sign_in_at = Timestamptz(null=True)
    created_at = Timestamptz()
    updated_at = Timestamptz()


class Sessions(Table, tablename="sessions", schema="auth", db=POSTGRES):
    id = UUID(primary_key=True, default=None)
    user_id = UUID()
    aal = Text()
    amr = JSONB()
    refresh_counter = BigInt()
    rotated_at = Array(base_column=Timestamptz())
    not_after = Timestamptz(null=True)
    user_agent = Text(null=True)
    ip = Inet(null=True)
    created_at = Timestamptz()
    updated_at = Timestamptz()
    refreshed_at = Timestamptz(null=True)
    proven_by = UUID(null=True)
    first_counter = BigInt()


class OneTimeTokens(Table, tablename="one_time_tokens", schema="auth", db=POSTGRES):
    id = UUID(primary_key=True, default=None)
    user_id = UUID()
    kind = Text()
    relates_to = Text()
    link_hash = Text()
    code_hash = Text()
    attempts = SmallInt()
    code_challenge = Text(null=True)
    code_challenge_method = Text(null=True)
    created_at = Timestamptz()
    code_expires_at = Timestamptz()
    expires_at = Timestamptz()


class FlowState(Table, tablename="flow_state", schema="auth", db=POSTGRES):
    id = UUID(primary_key=True, default=None)
    user_id = UUID()
    code_hash = Text()
    code_challenge = Text()
    code_challenge_method = Text()
    authentication_method = Text()
    created_at = Timestamptz()
    expires_at = Timestamptz()
    sealed = Text(null=True)


class OAuthFlows(Table, tablename="oauth_flows", schema="auth", db=POSTGRES):
    state_hash = Text(primary_key=True)
    browser_hash = Text(null=True)
    provider = Text()
    redirect_to = Text()
    code_challenge = Text(null=True)
    code_challenge_method = Text(null=True)
    user_id = UUID(null=True)
    created_at = Timestamptz()
    expires_at = Timestamptz()


class MailPauses(Table, tablename="mail_pauses", schema="auth", db=POSTGRES):
    key = Text(primary_key=True)
    sent_at = Timestamptz()


class AuditLogEntries(Table, tablename="audit_log_entries", schema="auth", db=POSTGRES):
    id = UUID(primary_key=True, default=None)
    created_at = Timestamptz()
    ip_address = Text()
    payload = JSONB()


class MfaFactors(Table, tablename="mfa_factors", schema="auth", db=POSTGRES):
    id = UUID(primary_key=True, default=None)
    user_id = UUID()
    friendly_name = Text()
    factor_type = Text()
    status = Text()
    secret = Bytea(null=True)
    last_step = BigInt(null=True)
    phone = Text(null=True)
    last_challenged_at = Timestamptz(null=True)
    created_at = Timestamptz()
    updated_at = Timestamptz()


class WebauthnCredentials(Table, tablename="webauthn_credentials", schema="auth", db=POSTGRES):
    id = UUID(primary_key=True, default=None)
    user_id = UUID()
    factor_id = UUID(null=True)
    credential_id = Bytea()
    public_key = Bytea()
    sign_count = BigInt()
    transports = Array(base_column=Text())
    friendly_name = Text(null=True)
    last_used_at = Timestamptz(null=True)
    created_at = Timestamptz()


class MfaChallenges(Table, tablename="mfa_challenges", schema="auth", db=POSTGRES):
    id = UUID(primary_key=True, default=None)
    purpose = Text()
    factor_id = UUID(null=True)
    session_id = UUID(null=True)
    ip = Inet(null=True)
    secret = Bytea(null=True)
    attempts = SmallInt()
    used_at = Timestamptz(null=True)
    created_at = Timestamptz()
    expires_at = Timestamptz()


class MfaRecoveryCodes(Table, tablename="mfa_recovery_codes", schema="auth", db=POSTGRES):
    factor_id = UUID(primary_key=True, default=None)
    code_hash = Bytea()
    used_at = Timestamptz(null=True)


class MfaTries(Table, tablename="mfa_tries", schema="auth", db=POSTGRES):
    key = Text(primary_key=True)
    tries = Integer()
    until = Timestamptz()


class Web3Messages(Table, tablename="web3_messages", schema="auth", db=POSTGRES):
    digest = Text(primary_key=True)
    expires_at = Timestamptz()


class Throttles(Table, tablename="throttles", schema="auth", db=POSTGRES):
    key = Text(primary_key=True)
    failures = Integer()
    since = Timestamptz()


class Revocations(Table, tablename="revocations", schema="auth", db=POSTGRES):
    subject = UUID(primary_key=True, default=None)
    reason = Text()
    until = Timestamptz()
    changed_at = Timestamptz()


TABLES = (
    *(Users, Identities, Sessions, OneTimeTokens, FlowState, OAuthFlows, MailPauses, AuditLogEntries),
    *(Web3Messages, Throttles, Revocations),
    *(MfaFactors, WebauthnCredentials, MfaChallenges, MfaRecoveryCodes, MfaTries),
)
