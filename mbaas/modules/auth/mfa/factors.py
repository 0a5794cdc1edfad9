"""Second factors: enrolled, challenged, verified, removed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.adapters.sealing import Sealer
from mbaas.adapters.secrets import Secrets
from mbaas.adapters.sms.provider import Channel
from mbaas.core.observe import Observe, SecurityEvent
from mbaas.modules.auth.accounts import hold_user
from mbaas.modules.auth.addresses import Contact
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.audit import record
from mbaas.modules.auth.errors import (
    AnonymousHasNone,
    ChallengeElsewhere,
    CredentialExists,
    FactorExists,
    FactorKindDisabled,
    FactorNameTaken,
    FactorNotFound,
    FactorNotVerified,
    InsufficientAal,
    RemovalNeedsAal2,
    SessionNotFound,
    TooManyFactors,
    ValidationFailed,
    WebauthnFailed,
)
from mbaas.modules.auth.mails import Mails
from mbaas.modules.auth.mfa.challenges import LIFETIME_S, Challenge, Challenges
from mbaas.modules.auth.mfa.relying_party import CHALLENGE_BYTES, RelyingParty
from mbaas.modules.auth.mfa.rows import (
    StoredFactor,
    count_use,
    credentials_of,
    delete_factors,
    find_factor,
    insert_credential,
    insert_factor,
    second_of,
    set_verified,
    take_step,
)
from mbaas.modules.auth.mfa.totp import SECRET_BYTES, encode_secret, matching_step, provisioning_uri, qr_code
from mbaas.modules.auth.mfa.tries import count_try, forget_old_tries, forget_tries
from mbaas.modules.auth.objects import Factor, Session, User
from mbaas.modules.auth.pauses import pause
from mbaas.modules.auth.policy import Policy
from mbaas.modules.auth.sessions import Holder, Sessions, lower_level

MAX_FACTORS = 10
ABANDONED_S = 600  # an enrolment nobody finished makes room after that
MAX_NAME = 200  # characters
METHODS = {"totp": "totp", "phone": "mfa/phone", "webauthn": "mfa/webauthn", "recovery_code": "mfa/recovery_code"}
"""What a verified factor adds to the claim ``amr``."""

NAMES = {
    "totp": "authenticator app",
    "phone": "phone",
    "webauthn": "security key",
    "recovery_code": "recovery codes",
}
"""In mails."""


class Totp(msgspec.Struct, frozen=True):
    qr_code: str
    secret: str
    uri: str


class Enrolled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    type: str
    friendly_name: str
    totp: Totp | None = None
    phone: str | None = None


class WebauthnChallenge(msgspec.Struct, frozen=True):
    """type: ``create`` while the factor is enrolled, then ``request``."""

    type: str
    credential_options: dict[str, Any]


class Challenged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """expires_at: unix seconds."""

    id: str
    type: str
    expires_at: int
    webauthn: WebauthnChallenge | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """To a challenge: a code, or what an authenticator said."""

    challenge_id: str
    code: str = ""
    credential: dict[str, Any] | None = None


class Factors:
    """issuer: what authenticator apps show beside the account. channels: how phones can be written to."""

    def __init__(
        self,
        *,
        policy: Policy,
        issuer: str,
        database: Database,
        secrets: Callable[[], Secrets],
        sessions: Sessions,
        challenges: Challenges,
        relying_party: RelyingParty,
        mails: Mails,
        channels: frozenset[Channel],
        code_length: int,
        clock: Clock,
        chance: Chance,
        observe: Observe,
    ) -> None:
        self._policy = policy
        self._issuer = issuer
        self._database = database
        self._sessions = sessions
        self._challenges = challenges
        self._relying_party = relying_party
        self._mails = mails
        self._channels = channels
        self._code_length = code_length
        self._clock = clock
        self._chance = chance
        self._observe = observe
        self._sealer = Sealer(secrets, "auth.totp")
        self._code_key = secrets().purpose_key("auth.mfa_phone_code")

    # --- enrolment ---------------------------------------------------------------------------------------------------

    async def enroll(
        self, holder: Holder, kind: str, name: str, *, issuer: str | None, phone: Contact | None, asked: Asked
    ) -> Enrolled:
        """A new factor, not verified yet. phone: of a phone factor.

        Raises AnonymousHasNone, ValidationFailed, FactorKindDisabled, InsufficientAal, TooManyFactors, FactorNameTaken,
        FactorExists.
        """
        user = holder.user
        if user.is_anonymous:
            raise AnonymousHasNone
        if kind not in ("totp", "phone", "webauthn"):
            raise ValidationFailed("factor_type needs to be totp, phone, or webauthn")
        self._require(kind, "enroll")
        check_name(name)
        now, factor_id = self._clock.now(), self._chance.new_id()
        factor = Factor(
            id=factor_id,
            friendly_name=name,
            factor_type=kind,
            status="unverified",
            phone=phone.address if phone else None,
            created_at=now,
            updated_at=now,
        )
        secret = encode_secret(self._chance.new_bytes(SECRET_BYTES)) if kind == "totp" else None
        async with self._database.transaction() as transaction:
            held = await hold_user(transaction, user.id)
            if holder.aal != "aal2" and (await second_of(transaction, user.id)).any:
                raise InsufficientAal("AAL2 required to enroll a new factor")
            await self._check_room(transaction, held, factor)
            sealed = None if secret is None else self._sealer.seal(secret.encode(), bound_to=factor_id)
            await insert_factor(transaction, factor, user.id, secret=sealed)
            await record(transaction, "factor_in_progress", asked, user_id=user.id, now=now, factor_type=kind)
        if secret is None:
            return Enrolled(id=factor_id, type=kind, friendly_name=name, phone=factor.phone)
        account = user.email or user.phone or user.id
        uri = provisioning_uri(secret, account=account, issuer=(issuer or self._issuer).replace(":", " "))
        return Enrolled(id=factor_id, type=kind, friendly_name=name, totp=Totp(qr_code(uri), secret, uri))

    async def _check_room(self, transaction: Transaction, user: User, new: Factor) -> None:
        """Raises TooManyFactors, FactorNameTaken, FactorExists. Enrolments nobody finished make room."""
        limit = self._clock.now() - timedelta(seconds=ABANDONED_S)
        abandoned = [one.id for one in user.factors if not one.is_verified and one.created_at < limit]
        if abandoned:
            await delete_factors(transaction, *abandoned)
        there = [one for one in user.factors if one.id not in abandoned]
        if len(there) >= MAX_FACTORS:
            raise TooManyFactors(f"A user has at most {MAX_FACTORS} factors, unenroll one to continue")
        if any(one.is_verified and one.phone is not None and one.phone == new.phone for one in there):
            raise FactorExists("A verified phone factor already exists, unenroll the existing factor to continue")
        if any(one.friendly_name == new.friendly_name for one in there):
            raise FactorNameTaken(f'A factor with the friendly name "{new.friendly_name}" for this user already exists')

    # --- challenge and answer ----------------------------------------------------------------------------------------

    async def challenge(
        self,
        holder: Holder,
        factor_id: str,
        *,
        channel: str | None,
        rp_id: str | None,
        origins: list[str],
        asked: Asked,
    ) -> Challenged:
        """Something to answer. channel: how a code is sent. rp_id, origins: what the client takes them to be.

        Raises FactorNotFound, FactorKindDisabled, ValidationFailed, SmsPaused.
        """
        stored = await self._find(holder, factor_id)
        factor, session_id = stored.factor, _session_of(holder)
        kind = factor.factor_type
        if kind == "recovery_code":
            raise ValidationFailed("Recovery codes take no challenge: send one to /factors/recovery-codes/verify")
        self._require(kind, "verify")
        if kind == "phone":
            return await self._challenge_phone(holder, factor, session_id, channel, asked)
        secret, told = b"", None
        if kind == "webauthn":
            self._relying_party.check_wanted(rp_id, origins)
            secret = self._chance.new_bytes(CHALLENGE_BYTES)
            told = await self._ask_authenticator(holder.user, factor, secret)
        async with self._database.transaction() as transaction:
            made = await self._challenges.issue(
                transaction, "factor", factor_id=factor.id, session_id=session_id, ip=asked.ip, secret=secret
            )
        return Challenged(id=made.id, type=kind, expires_at=made.expires_at, webauthn=told)

    async def _ask_authenticator(self, user: User, factor: Factor, secret: bytes) -> WebauthnChallenge:
        if factor.is_verified:
            known = await credentials_of(self._database, user.id, factor.id)
            options = self._relying_party.request_options(secret, known=known, passkey=False)
            return WebauthnChallenge("request", {"publicKey": options})
        known = await credentials_of(self._database, user.id)
        options = self._relying_party.creation_options(user, secret, known=known, passkey=False)
        return WebauthnChallenge("create", {"publicKey": options})

    async def _challenge_phone(
        self, holder: Holder, factor: Factor, session_id: str, channel: str | None, asked: Asked
    ) -> Challenged:
        via: Channel = "whatsapp" if channel == "whatsapp" else "sms"
        if channel not in (None, "", "sms", "whatsapp") or via not in self._channels:
            raise ValidationFailed(f"Invalid channel, supported values are {', '.join(sorted(self._channels))}")
        now, user = self._clock.now(), holder.user
        await pause(self._database, "factor", factor.id, now=now, frequency_s=self._policy.frequency_s, by_sms=True)
        challenge_id, code = self._chance.new_id(), self._chance.new_code(self._code_length)
        async with self._database.transaction() as transaction:
            made: Challenge = await self._challenges.issue(
                transaction,
                "factor",
                factor_id=factor.id,
                session_id=session_id,
                ip=asked.ip,
                challenge_id=challenge_id,
                secret=self._code_hash(challenge_id, code),
            )
            phone = str(factor.phone)
            await self._mails.text(transaction, "sms_otp", user, phone, code, asked, via=via, lifetime_s=LIFETIME_S)
        return Challenged(id=made.id, type="phone", expires_at=made.expires_at)

    async def verify(self, holder: Holder, factor_id: str, answer: Answer, *, asked: Asked) -> Session:
        """The session at ``aal2``; the factor is verified from now on.

        Raises FactorNotFound, FactorKindDisabled, InsufficientAal, ChallengeNotFound, ChallengeElsewhere,
        ChallengeExpired, FactorNotVerified, WebauthnFailed, CredentialExists, TooManyTries.
        """
        stored = await self._find(holder, factor_id)
        session_id = _session_of(holder)
        if stored.factor.factor_type == "recovery_code":
            raise FactorNotVerified("Recovery codes are verified at /factors/recovery-codes/verify")
        self._require(stored.factor.factor_type, "verify")
        if stored.factor.factor_type != "webauthn":  # nobody guesses a signature
            await self._count(holder.user, asked)
        secret = await self._challenges.try_answer(
            answer.challenge_id, factor_id=stored.factor.id, session_id=session_id, ip=asked.ip
        )
        if stored.factor.factor_type == "webauthn":
            return await self._verify_authenticator(holder, stored.factor, answer, secret, asked)
        step: int | None = None
        if stored.factor.factor_type == "totp":
            step = self._step_of(stored, answer.code)
            if step is None:
                raise FactorNotVerified
        elif not hmac.compare_digest(self._code_hash(answer.challenge_id, answer.code), secret):
            raise FactorNotVerified("Invalid MFA Phone code entered")
        async with self._database.transaction() as transaction:
            factor = await self._hold(transaction, holder, stored.factor)
            if step is not None and not await take_step(transaction, factor.id, step):
                raise FactorNotVerified
            await forget_tries(transaction, holder.user.id)
            return await self._prove(transaction, holder, factor, answer.challenge_id, asked)

    async def _verify_authenticator(
        self, holder: Holder, factor: Factor, answer: Answer, secret: bytes, asked: Asked
    ) -> Session:
        if answer.credential is None:
            raise ValidationFailed("webauthn with type and credential_response required")
        user, now = holder.user, self._clock.now()
        if not factor.is_verified:
            made = self._relying_party.register(answer.credential, secret, passkey=False)
            async with self._database.transaction() as transaction:
                factor = await self._hold(transaction, holder, factor)
                new_id = self._chance.new_id()
                if not await insert_credential(transaction, made, user.id, factor.id, new_id=new_id, now=now):
                    raise CredentialExists
                return await self._prove(transaction, holder, factor, answer.challenge_id, asked)
        (known,) = await credentials_of(self._database, user.id, factor.id)
        sign_count = self._relying_party.authenticate(answer.credential, secret, known, passkey=False)
        async with self._database.transaction() as transaction:
            factor = await self._hold(transaction, holder, factor)
            counted = await count_use(transaction, known, sign_count, now=now)
            if counted:
                return await self._prove(transaction, holder, factor, answer.challenge_id, asked)
        self._observe(SecurityEvent("webauthn_counter", user.id, f"factor {factor.id} may have been copied"))
        raise WebauthnFailed("Credential verification failed: the signature counter did not advance")

    async def _hold(self, transaction: Transaction, holder: Holder, before: Factor) -> Factor:
        """The factor as it is now, with its user held. Raises FactorNotFound, ChallengeElsewhere, InsufficientAal."""
        held = await hold_user(transaction, holder.user.id)
        factor = next((one for one in held.factors if one.id == before.id), None)
        if factor is None:
            raise FactorNotFound
        if factor.status != before.status:  # by another request at this moment
            raise ChallengeElsewhere
        # What proves somebody is no proof yet while it is enrolled: with another way to aal2, that one comes first.
        if not factor.is_verified and holder.aal != "aal2" and (await second_of(transaction, holder.user.id)).any:
            raise InsufficientAal("AAL2 required to enroll a new factor")
        return factor

    async def _prove(
        self, transaction: Transaction, holder: Holder, factor: Factor, challenge_id: str, asked: Asked
    ) -> Session:
        now, user = self._clock.now(), holder.user
        await self._challenges.use(transaction, challenge_id)
        if not factor.is_verified:
            await set_verified(transaction, factor.id, now=now)
            await self._mails.notice(transaction, "factor_enrolled", user, asked, factor=NAMES[factor.factor_type])
            await record(transaction, "factor_enrolled", asked, user_id=user.id, now=now, factor_id=factor.id)
        method = METHODS[factor.factor_type]
        await record(transaction, "factor_verified", asked, user_id=user.id, now=now, factor_id=factor.id)
        return await self._sessions.raise_level(
            transaction, user.id, _session_of(holder), method=method, proven_by=factor.id
        )

    async def _count(self, user: User, asked: Asked) -> None:
        now = self._clock.now()
        await count_try(self._database, user.id, asked.ip, now=now)
        await forget_old_tries(self._database, now=now)

    # --- removal -----------------------------------------------------------------------------------------------------

    async def unenroll(self, holder: Holder, factor_id: str, *, asked: Asked) -> str:
        """Remove a factor of one's own. Returns its id. Raises FactorNotFound, RemovalNeedsAal2."""
        factor = (await self._find(holder, factor_id)).factor
        if factor.is_verified and holder.aal != "aal2":
            raise RemovalNeedsAal2
        # Read again with the user held: it may have been verified since.
        await self.remove(holder.user.id, factor.id, asked=asked, only_unverified=holder.aal != "aal2")
        return factor.id

    async def remove(self, user_id: str, factor_id: str, *, asked: Asked, only_unverified: bool = False) -> Factor:
        """Remove a factor, whatever the caller has proven; sessions that rest on it are ``aal1`` again.

        Recovery codes go with the last factor they stand in for. Raises FactorNotFound, RemovalNeedsAal2.
        """
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            held = await hold_user(transaction, user_id)
            factors = {one.id: one for one in held.factors}
            if factor_id not in factors:
                raise FactorNotFound
            removed = factors.pop(factor_id)
            if removed.is_verified and only_unverified:
                raise RemovalNeedsAal2
            gone = [removed.id]
            if not any(one.is_verified and one.factor_type != "recovery_code" for one in factors.values()):
                gone += [one.id for one in factors.values() if one.factor_type == "recovery_code"]
            await delete_factors(transaction, *gone)
            await lower_level(transaction, user_id, gone, now=now)
            if removed.is_verified:
                kind = NAMES[removed.factor_type]
                await self._mails.notice(transaction, "factor_removed", held, asked, factor=kind)
            await record(transaction, "factor_unenrolled", asked, user_id=user_id, now=now, factor_id=removed.id)
        return removed

    async def _find(self, holder: Holder, factor_id: str) -> StoredFactor:
        stored = await find_factor(self._database, factor_id, holder.user.id)
        if stored is None:
            raise FactorNotFound
        return stored

    def _require(self, kind: str, what: Any) -> None:
        if kind not in self._policy.factors or (kind == "phone" and not self._channels):
            raise FactorKindDisabled(kind, what)

    def _step_of(self, stored: StoredFactor, code: str) -> int | None:
        secret = self._sealer.open(stored.secret, bound_to=stored.factor.id).decode()
        return matching_step(secret, code, now=self._clock.now(), after=stored.last_step)

    def _code_hash(self, challenge_id: str, code: str) -> bytes:
        message = f"{challenge_id}:{code}".encode("utf-8", "surrogatepass")
        return hmac.new(self._code_key, message, hashlib.sha256).digest()


def _session_of(holder: Holder) -> str:
    if holder.session_id is None:
        raise SessionNotFound
    return holder.session_id


def check_name(name: str) -> None:
    """Raises ValidationFailed."""
    if len(name) > MAX_NAME or "\x00" in name:
        raise ValidationFailed(f"friendly_name has at most {MAX_NAME} characters")
