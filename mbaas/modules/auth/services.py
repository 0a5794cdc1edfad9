"""Everything the routes call, put together once."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.messages.outgoing import Messages
from mbaas.adapters.outbox.engine import Outbox
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.secrets import Secrets
from mbaas.config.settings import Config
from mbaas.core.observe import Observe
from mbaas.hooks.dispatch import Hooks
from mbaas.http.identity import auth_url
from mbaas.modules.auth.accounts import Accounts
from mbaas.modules.auth.admin import Admin
from mbaas.modules.auth.deferred import Deferred
from mbaas.modules.auth.email_change import EmailChange
from mbaas.modules.auth.links import Links
from mbaas.modules.auth.mail_flows import MailFlows
from mbaas.modules.auth.mails import Mails
from mbaas.modules.auth.mfa.challenges import Challenges
from mbaas.modules.auth.mfa.factors import Factors
from mbaas.modules.auth.mfa.passkeys import Passkeys
from mbaas.modules.auth.mfa.recovery_codes import RecoveryCodes
from mbaas.modules.auth.mfa.relying_party import RelyingParty
from mbaas.modules.auth.one_time import OneTime
from mbaas.modules.auth.password import Passwords
from mbaas.modules.auth.phone_change import PhoneChange
from mbaas.modules.auth.policy import Policy, policy_of
from mbaas.modules.auth.profile import Profile
from mbaas.modules.auth.proof import Proof
from mbaas.modules.auth.redirect import AllowList
from mbaas.modules.auth.sessions import Sessions
from mbaas.modules.auth.signin import SignIn
from mbaas.modules.auth.signup import SignUp
from mbaas.modules.auth.tokens import TokenIssuer
from mbaas.modules.auth.verify import Verify


class Services(msgspec.Struct, frozen=True, kw_only=True):
    policy: Policy
    allow_list: AllowList
    tokens: TokenIssuer
    sessions: Sessions
    sign_up: SignUp
    sign_in: SignIn
    mail_flows: MailFlows
    verify: Verify
    profile: Profile
    admin: Admin
    links: Links
    factors: Factors
    recovery_codes: RecoveryCodes
    passkeys: Passkeys
    clock: Clock
    passwords: Passwords
    messages: Messages
    outbox: Outbox


def build_services(
    *,
    config: Config,
    secrets: Callable[[], Secrets],
    database: Database,
    outbox: Outbox,
    messages: Messages,
    hooks: Hooks,
    observe: Observe,
    clock: Clock,
    chance: Chance,
) -> Services:
    settings, address = config.auth, auth_url(config.server)
    policy = policy_of(settings, config.sms)
    passwords = Passwords(min_length=settings.password_min_length)
    tokens = TokenIssuer(secrets, issuer=address, lifetime_s=settings.access_token_lifetime_s)
    sessions = Sessions(
        database=database,
        tokens=tokens,
        secrets=secrets,
        clock=clock,
        chance=chance,
        observe=observe,
        hooks=hooks,
        lifetime_s=settings.session_lifetime_s,
        reuse_interval_s=settings.reuse_interval_s,
    )
    accounts = Accounts(database=database, hooks=hooks, clock=clock, chance=chance)
    one_time = OneTime(
        database=database,
        secrets=secrets,
        clock=clock,
        chance=chance,
        code_length=settings.otp_length,
        code_lifetime_s=settings.code_lifetime_s,
        link_lifetime_s=settings.otp_lifetime_s,
    )
    mails = Mails(messages=messages, auth_url=address, settings=settings)
    proof = Proof(one_time=one_time, mails=mails, clock=clock)
    email_change = EmailChange(one_time=one_time, mails=mails, clock=clock, chance=chance)
    phone_change = PhoneChange(one_time=one_time, mails=mails, clock=clock, chance=chance)
    challenges = Challenges(database=database, clock=clock, chance=chance)
    relying_party = RelyingParty(config.app, settings)
    factors = Factors(
        policy=policy,
        issuer=settings.mfa_issuer or config.app.name,
        database=database,
        secrets=secrets,
        sessions=sessions,
        challenges=challenges,
        relying_party=relying_party,
        mails=mails,
        channels=messages.phone_channels,
        code_length=settings.otp_length,
        clock=clock,
        chance=chance,
        observe=observe,
    )
    return Services(
        policy=policy,
        allow_list=AllowList(config.app.site_url, config.app.redirect_urls),
        tokens=tokens,
        sessions=sessions,
        sign_up=SignUp(
            policy=policy,
            database=database,
            accounts=accounts,
            passwords=passwords,
            sessions=sessions,
            proof=proof,
            clock=clock,
            chance=chance,
        ),
        sign_in=SignIn(database=database, accounts=accounts, passwords=passwords, sessions=sessions, clock=clock),
        mail_flows=MailFlows(
            policy=policy,
            database=database,
            accounts=accounts,
            one_time=one_time,
            proof=proof,
            email_change=email_change,
            phone_change=phone_change,
            mails=mails,
            deferred=Deferred(outbox=outbox, database=database, observe=observe),
            clock=clock,
        ),
        verify=Verify(
            database=database,
            sessions=sessions,
            one_time=one_time,
            email_change=email_change,
            phone_change=phone_change,
            clock=clock,
            chance=chance,
        ),
        profile=Profile(
            policy=policy,
            database=database,
            passwords=passwords,
            email_change=email_change,
            phone_change=phone_change,
            one_time=one_time,
            mails=mails,
            clock=clock,
            chance=chance,
        ),
        admin=Admin(database=database, accounts=accounts, passwords=passwords, clock=clock, chance=chance),
        links=Links(
            database=database,
            accounts=accounts,
            passwords=passwords,
            one_time=one_time,
            email_change=email_change,
            mails=mails,
            clock=clock,
        ),
        factors=factors,
        recovery_codes=RecoveryCodes(
            policy=policy,
            database=database,
            secrets=secrets,
            sessions=sessions,
            factors=factors,
            mails=mails,
            clock=clock,
            chance=chance,
            observe=observe,
        ),
        passkeys=Passkeys(
            policy=policy,
            database=database,
            sessions=sessions,
            challenges=challenges,
            relying_party=relying_party,
            mails=mails,
            clock=clock,
            chance=chance,
            observe=observe,
        ),
        clock=clock,
        passwords=passwords,
        messages=messages,
        outbox=outbox,
    )
