"""Everything the routes call, put together once."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mbaas.adapters.captcha import choose_captcha
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
from mbaas.modules.auth.admission import Admission
from mbaas.modules.auth.deferred import Deferred
from mbaas.modules.auth.devices import Devices
from mbaas.modules.auth.email_change import EmailChange
from mbaas.modules.auth.id_token_grant import IdTokenGrant
from mbaas.modules.auth.identities import Identities
from mbaas.modules.auth.links import Links
from mbaas.modules.auth.mail_flows import MailFlows
from mbaas.modules.auth.mails import Mails
from mbaas.modules.auth.mfa.challenges import Challenges
from mbaas.modules.auth.mfa.factors import Factors
from mbaas.modules.auth.mfa.passkeys import Passkeys
from mbaas.modules.auth.mfa.recovery_codes import RecoveryCodes
from mbaas.modules.auth.mfa.relying_party import RelyingParty
from mbaas.modules.auth.oauth import OAuth
from mbaas.modules.auth.one_time import OneTime
from mbaas.modules.auth.password import Passwords
from mbaas.modules.auth.phone_change import PhoneChange
from mbaas.modules.auth.policy import Policy, policy_of
from mbaas.modules.auth.profile import Profile
from mbaas.modules.auth.proof import Proof
from mbaas.modules.auth.providers.provider import build_providers
from mbaas.modules.auth.redirect import AllowList
from mbaas.modules.auth.sessions import Sessions
from mbaas.modules.auth.signin import SignIn
from mbaas.modules.auth.signup import SignUp
from mbaas.modules.auth.throttle import Throttle
from mbaas.modules.auth.tokens import TokenIssuer
from mbaas.modules.auth.verify import Verify
from mbaas.modules.auth.web3.grant import Web3Grant


class Services(msgspec.Struct, frozen=True, kw_only=True):
    database: Database
    policy: Policy
    allow_list: AllowList
    tokens: TokenIssuer
    sessions: Sessions
    devices: Devices
    sign_up: SignUp
    sign_in: SignIn
    mail_flows: MailFlows
    verify: Verify
    profile: Profile
    oauth: OAuth
    id_token_grant: IdTokenGrant
    web3_grant: Web3Grant
    admin: Admin
    links: Links
    factors: Factors
    recovery_codes: RecoveryCodes
    passkeys: Passkeys
    clock: Clock
    passwords: Passwords
    throttle: Throttle
    admission: Admission
    messages: Messages
    outbox: Outbox
    auth_url: str


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
    passwords = Passwords(min_length=settings.password_min_length, block_list=settings.password_block_list)
    tokens = TokenIssuer(secrets, issuer=address, lifetime_s=settings.access_token_lifetime_s, claims=settings.claims)
    sessions = Sessions(
        database=database,
        tokens=tokens,
        secrets=secrets,
        clock=clock,
        chance=chance,
        observe=observe,
        hooks=hooks,
        lifetime_s=settings.session_lifetime_s,
        idle_s=settings.session_idle_s,
        single=settings.single_session,
        reuse_interval_s=settings.reuse_interval_s,
    )
    throttle = Throttle(database=database, settings=settings.throttle, clock=clock, observe=observe)
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
    allow_list = AllowList(config.app.site_url, config.app.redirect_urls)
    identities = Identities(
        policy=policy,
        accounts=accounts,
        proof=proof,
        mails=mails,
        clock=clock,
        chance=chance,
        observe=observe,
        manual_linking=settings.manual_linking,
    )
    oauth = OAuth(
        providers=build_providers(settings.providers, callback=f"{address}/callback"),
        identities=identities,
        database=database,
        accounts=accounts,
        sessions=sessions,
        allow_list=allow_list,
        secrets=secrets,
        clock=clock,
        chance=chance,
        observe=observe,
        auth_url=address,
    )
    return Services(
        database=database,
        policy=policy,
        allow_list=allow_list,
        tokens=tokens,
        sessions=sessions,
        devices=Devices(database=database, clock=clock, idle_s=settings.session_idle_s),
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
        sign_in=SignIn(
            database=database,
            accounts=accounts,
            passwords=passwords,
            sessions=sessions,
            oauth=oauth,
            throttle=throttle,
            clock=clock,
        ),
        oauth=oauth,
        id_token_grant=IdTokenGrant(
            oauth=oauth, database=database, accounts=accounts, sessions=sessions, clock=clock, observe=observe
        ),
        web3_grant=Web3Grant(
            settings=settings.web3,
            identities=identities,
            database=database,
            accounts=accounts,
            sessions=sessions,
            allow_list=allow_list,
            clock=clock,
            observe=observe,
        ),
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
            throttle=throttle,
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
        throttle=throttle,
        admission=Admission(captcha=choose_captcha(settings.captcha), throttle=throttle),
        messages=messages,
        outbox=outbox,
        auth_url=address,
    )
