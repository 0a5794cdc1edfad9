"""Every setting with its default. Sizes in bytes, times in seconds; a ``None`` is explained where it stands.

The docs' reference of settings is checked against these structs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from mbaas.core.schema.catalog import Catalog

Port: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]
WholeNumber: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
WholeSeconds: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
PerSecond: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]


class AppSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[app]``: who this backend is for.

    name: in mails and in the API's documentation. site_url: where links in mails lead by default. redirect_urls:
    further allowed targets; ``*`` stands for anything but ``.`` and ``/``, ``**`` for anything.
    """

    name: str = "mbaas"
    site_url: str = "http://localhost:3000"
    redirect_urls: tuple[str, ...] = ()


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[server]``: the HTTP edge.

    host: where to listen. port: 0 takes a free one. public_url: how clients reach us, for links and token issuers;
    requests may come with its path or without; ``None``: ``http://host:port``. trusted_proxies: addresses or networks
    whose ``X-Forwarded-For`` is believed. cors_origins: exact origins, or ``*``. drain_s: how long running requests may
    go on after SIGTERM. docs: whether ``/docs`` and ``/openapi.json`` are served.
    """

    host: str = "127.0.0.1"
    port: Port = 8000
    public_url: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ("*",)
    drain_s: Seconds = 30.0
    docs: bool = True


class RateSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[limits.rate]``: token buckets, refilled per second, twice that in a burst. 0 switches one off.

    enabled: false switches all off. per_ip: requests of one address. per_user: requests of one signed-in user.
    per_key: requests of one API key. auth_per_ip: sign-up, sign-in and what sends mails, of one address.
    """

    enabled: bool = True
    per_ip: PerSecond = 200.0
    per_user: PerSecond = 200.0
    per_key: PerSecond = 5000.0
    auth_per_ip: PerSecond = 10.0


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[limits]``: what one request may cost.

    max_body, max_url: in bytes. json_depth: levels of a body. max_rows: the longest list, whatever ``limit`` says.
    filter_terms: conditions of one query. filter_depth, embed_depth: levels of one query. batch_operations: of one
    batch. batch_body: of one batch, in bytes; ``max_body`` holds for each operation in it. body_timeout_s: until a body
    has arrived. request_timeout_s: until the whole answer is sent. max_active: requests under way at once, those that
    wait for their client left out; 0: any number.
    """

    max_body: Count = 1_048_576
    max_url: Count = 32_768
    json_depth: Count = 32
    max_rows: Count = 1000
    filter_terms: Count = 100
    filter_depth: Count = 8
    embed_depth: Count = 6
    batch_operations: Count = 100
    batch_body: Count = 4_194_304
    body_timeout_s: Seconds = 15.0
    request_timeout_s: Seconds = 30.0
    max_active: WholeNumber = 256
    rate: RateSettings = RateSettings()


class IdempotencySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[idempotency]``: writes that come with an ``Idempotency-Key``.

    keep_s: how long the same request gets the same answer. max_answer: the longest one that is kept, in bytes; a write
    with a longer one is refused.
    """

    keep_s: Count = 86_400
    max_answer: Count = 1_048_576


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[database]``: PostgreSQL.

    url: a PostgreSQL 15 or newer; ``None``: we start our own in the data directory. connections: at most so many; lists
    never have all of them, and beside our own server two for each core. acquire_timeout_s: how long a request waits for
    a free connection. anon_statement_timeout_s, authenticated_statement_timeout_s, service_statement_timeout_s: the
    longest statement, by role. coalesce: whether short statements of concurrent requests share round trips.
    """

    url: str | None = None
    connections: Count = 8
    acquire_timeout_s: Seconds = 2.0
    anon_statement_timeout_s: Seconds = 3.0
    authenticated_statement_timeout_s: Seconds = 8.0
    service_statement_timeout_s: Seconds = 60.0
    coalesce: bool = True


class RestSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[rest]``: what ``/rest/v1`` offers beyond reading and writing.

    aggregates: who may ask for sums, averages and counts of groups, of ``anon`` and ``authenticated``; the service key
    always may. plans: whether the service key may ask how PostgreSQL carries out a request. rollback: whether
    ``Prefer: tx=rollback`` runs a request and takes it back.
    """

    aggregates: tuple[Literal["anon", "authenticated"], ...] = ("authenticated",)
    plans: bool = False
    rollback: bool = False


class MailSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[mail]``: how mails leave.

    host: the SMTP server; ``None``: mails are files in ``mail/`` of the data directory. port: of the SMTP server.
    username, password: for that server, when it asks. tls: ``implicit`` speaks TLS from the first byte, ``starttls``
    before anything else is said, ``none`` never, for a server on this machine; ``auto`` is ``implicit`` on port 465,
    else ``starttls``. timeout_s: of each step. sender: the address mails come from.
    """

    host: str | None = None
    port: Port = 587
    username: str | None = None
    password: str | None = None
    tls: Literal["auto", "starttls", "implicit", "none"] = "auto"
    timeout_s: Seconds = 10.0
    sender: str = "mbaas <no-reply@localhost>"


class TwilioSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[sms.twilio]``: Twilio's Messages API.

    account_sid, auth_token: of the account. sender: a number, or the id of a messaging service. whatsapp_sender: a
    number for WhatsApp; ``None``: no WhatsApp. content_sid: of the approved WhatsApp template, whose variable 1 is the
    code; ``None``: plain text. base_url: of the API, for another region.
    """

    account_sid: str | None = None
    auth_token: str | None = None
    sender: str | None = None
    whatsapp_sender: str | None = None
    content_sid: str | None = None
    base_url: str = "https://api.twilio.com"


class VonageSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[sms.vonage]``: Vonage's Messages API.

    api_key, api_secret: of the account. sender: a number or a name. whatsapp_sender: a number for WhatsApp; ``None``:
    no WhatsApp. base_url: of the API.
    """

    api_key: str | None = None
    api_secret: str | None = None
    sender: str | None = None
    whatsapp_sender: str | None = None
    base_url: str = "https://api.nexmo.com"


class MessageBirdSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[sms.messagebird]``: MessageBird's SMS API, and its Conversations API for WhatsApp.

    access_key: of the account. sender: a number or a name. whatsapp_channel: the id of the WhatsApp channel; ``None``:
    no WhatsApp. base_url: of the SMS API. conversations_url: of the Conversations API.
    """

    access_key: str | None = None
    sender: str | None = None
    whatsapp_channel: str | None = None
    base_url: str = "https://rest.messagebird.com"
    conversations_url: str = "https://conversations.messagebird.com"


class HttpSmsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[sms.http]``: an HTTP service of your own.

    url: where each message is posted as JSON. token: sent as bearer token; ``None``: none. allow_private: whether the
    address may be one of this machine or of a private network, and plain HTTP.
    """

    url: str | None = None
    token: str | None = None
    allow_private: bool = False


class SmsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[sms]``: how messages to phones leave.

    provider: ``none`` switches sign-in by phone off; ``console`` is for development: messages are files in ``sms/`` of
    the data directory and shown on a terminal. timeout_s: of one request. countries: two-letter codes of those whose
    numbers are written to; empty: all.
    """

    provider: Literal["none", "console", "twilio", "vonage", "messagebird", "http"] = "none"
    timeout_s: Seconds = 10.0
    countries: tuple[str, ...] = ()
    twilio: TwilioSettings = TwilioSettings()
    vonage: VonageSettings = VonageSettings()
    messagebird: MessageBirdSettings = MessageBirdSettings()
    http: HttpSmsSettings = HttpSmsSettings()


class OutboxSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[outbox]``: how everything that leaves is sent.

    workers: sends at once, of each channel (mail, SMS) and node. per_destination: sends at once to one destination,
    of all nodes. lease_s: how long a worker has an item for itself, half of it for the send; when a node dies, others
    send its items after that. retry_s: the first pause after a failure; each next one doubles, up to an hour.
    max_attempts: after which an item is a dead letter. keep_dead_s: how long dead letters are kept.
    """

    workers: Count = 16
    per_destination: Count = 4
    lease_s: Annotated[float, msgspec.Meta(ge=0.2)] = 60.0
    retry_s: Seconds = 2.0
    max_attempts: Count = 12
    keep_dead_s: Seconds = 2_592_000.0


class MessageSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[auth.messages]``: the texts of mails and SMS.

    directory: templates of your own, relative to ``mbaas.toml``. default_locale: the language of those whose own there
    is no text in. sign_in: whether the mail that signs in has a ``link`` and a code, or a ``code`` alone. notices:
    whether users are told of changes to their account.
    """

    directory: str = "messages"
    default_locale: str = "en"
    sign_in: Literal["link", "code"] = "link"
    notices: bool = True


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[auth.providers.<name>]``: a provider that people sign in with.

    Those we know the addresses of need ``client_id`` and ``client_secret`` alone: apple, azure, discord, facebook,
    github, gitlab, google, linkedin_oidc, slack_oidc, spotify, twitch, x. keycloak needs ``issuer`` too, and so does
    any other name, which is then a provider of OpenID Connect.

    enabled: whether people may. client_id: what the provider calls this app. client_ids: further ones of the same app,
    of its mobile builds, whose ID tokens are taken. client_secret: from the provider; ``None``: a public client.
    issuer: where a provider of OpenID Connect tells about itself, exactly as its tokens say. scopes: asked for beside
    those that signing in takes. parameters: added to the provider's address, such as ``prompt``. authorize_url,
    token_url, userinfo_url: instead of those known; all three for OAuth 2.0 without OpenID Connect. jwks_url: of the
    keys that sign ID tokens, instead of the one the issuer names. pkce: whether a code is bound to who asked for it;
    ``None``: when the provider says that it can. email_optional: let people in of whom the provider tells no address.
    team_id, key_id, private_key: of Apple, which wants a signed secret; the key as the PEM text it gives. timeout_s: of
    one request to the provider. allow_private: whether its addresses may be of this machine or a private network, and
    plain HTTP.
    """

    enabled: bool = True
    client_id: str = ""
    client_ids: tuple[str, ...] = ()
    client_secret: str | None = None
    issuer: str | None = None
    scopes: tuple[str, ...] = ()
    parameters: dict[str, str] = {}
    authorize_url: str | None = None
    token_url: str | None = None
    userinfo_url: str | None = None
    jwks_url: str | None = None
    pkce: bool | None = None
    email_optional: bool = False
    team_id: str | None = None
    key_id: str | None = None
    private_key: str | None = None
    timeout_s: Seconds = 10.0
    allow_private: bool = False


class ThrottleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[auth.throttle]``: tries of passwords and codes, counted for all nodes together. 0 switches a limit off.

    window_s: after which a count begins anew. pair: failures with one account from one address. account: failures with
    one account from addresses it was never signed in at. ip: failures from one address, whatever account. messages:
    sign-ups, accounts without an address, sign-ins with a wallet, and mails or SMS asked for, from one address.
    """

    window_s: Count = 900
    pair: WholeSeconds = 10
    account: WholeSeconds = 100
    ip: WholeSeconds = 200
    messages: WholeSeconds = 300


class CaptchaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[auth.captcha]``: sign-up, sign-in with a password or a wallet, and what sends messages, only with a
    solved captcha.

    provider: whose. secret: as the provider gave it. timeout_s: of its answer; without one nobody gets through.
    verify_url: asked instead of the provider's own address, for a relay of yours; it may be on a private network.
    """

    provider: Literal["none", "turnstile", "hcaptcha"] = "none"
    secret: str | None = None
    timeout_s: Seconds = 5.0
    verify_url: str | None = None


class Web3Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[auth.web3]``: sign-in by a message that a wallet signs, for the site and what ``redirect_urls`` allows.

    ethereum: wallets of Ethereum and of chains like it. solana: wallets of Solana.
    """

    ethereum: bool = False
    solana: bool = False


class AuthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[auth]``: sign-up, sign-in, tokens.

    email: sign-up and sign-in with an address. autoconfirm: an address needs no confirmation. phone_autoconfirm: nor
    does a phone number. disable_signup: nobody new. anonymous: accounts without an address. password_min_length:
    characters. password_block_list: whether the 30,000 most used passwords are refused. access_token_lifetime_s: until
    a client refreshes. session_lifetime_s: until one has to sign in again, however often the client refreshed; 0:
    never. session_idle_s: until one has to sign in again when no client refreshed; 0: never. single_session: a sign-in
    ends the other sessions of its user. reuse_interval_s: how long the previous refresh token still answers with the
    current one. otp_length: digits of a code, 6 to 10. otp_lifetime_s: of the link in a mail. code_lifetime_s: of the
    code beside it. max_frequency_s: the pause between two mails to one address, and between two SMS to one number; 0:
    none. password_reauthentication: a new password takes a code sent by ``/reauthenticate``, or the current password.
    recent_sign_in_s: a new address or number takes such a code, too, when the session was opened longer ago; 0: never.
    manual_linking: users may add providers to their account, and take them away. providers: whom people sign in with,
    by name. claims: claims of access tokens by name, each with the path it comes from: ``app_metadata.org``. mfa: the
    second factors there are; ``phone`` takes an SMS provider. mfa_policy: who must prove one before anything else is
    answered, ``roles``: who has one of ``mfa_roles``. mfa_roles: of ``app_metadata``. mfa_issuer: what authenticator
    apps show; ``None``: the name of ``[app]``. passkeys: sign-in by passkey. webauthn_rp_id: the domain passkeys and
    security keys belong to; ``None``: the host of ``site_url``. webauthn_origins: origins that may use them beside
    those of ``site_url`` and ``redirect_urls``, such as ``android:apk-key-hash:…``.
    """

    email: bool = True
    autoconfirm: bool = False
    phone_autoconfirm: bool = False
    disable_signup: bool = False
    anonymous: bool = False
    password_min_length: Count = 8
    password_block_list: bool = True
    access_token_lifetime_s: WholeSeconds = 3600
    session_lifetime_s: WholeSeconds = 0
    session_idle_s: WholeSeconds = 0
    single_session: bool = False
    reuse_interval_s: WholeSeconds = 10
    otp_length: Annotated[int, msgspec.Meta(ge=6, le=10)] = 6
    otp_lifetime_s: WholeSeconds = 3600
    code_lifetime_s: WholeSeconds = 600
    max_frequency_s: WholeSeconds = 60
    password_reauthentication: bool = False
    mfa: tuple[Literal["totp", "phone", "webauthn", "recovery_code"], ...] = (
        "totp",
        "phone",
        "webauthn",
        "recovery_code",
    )
    mfa_policy: Literal["optional", "required", "roles"] = "optional"
    mfa_roles: tuple[str, ...] = ()
    mfa_issuer: str | None = None
    passkeys: bool = False
    webauthn_rp_id: str | None = None
    webauthn_origins: tuple[str, ...] = ()
    manual_linking: bool = False
    providers: dict[str, ProviderSettings] = {}
    recent_sign_in_s: WholeSeconds = 0
    claims: dict[str, str] = {}
    throttle: ThrottleSettings = ThrottleSettings()
    captcha: CaptchaSettings = CaptchaSettings()
    web3: Web3Settings = Web3Settings()
    messages: MessageSettings = MessageSettings()


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[log]``: what is told on standard error.

    level: the least that is told. format: ``auto`` is ``console`` on a terminal, ``json`` elsewhere. requests: a line
    for each request.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    requests: bool = True


class PluginSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[plugins]``: code of your own in the server.

    directory: where they are, relative to ``mbaas.toml``. disabled: names that are not loaded. timeout_s: of each hook.
    """

    directory: str = "plugins"
    disabled: tuple[str, ...] = ()
    timeout_s: Seconds = 5.0


class GraphQLSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[graphql]``: ``/graphql/v1``.

    enabled: whether it is served. max_depth: collections in each other, the outermost included. max_cost: records that
    one answer may hold, each list as long as it may be times the lists around it. introspection: who may ask for the
    schema: nobody (``off``), the ``service`` key, ``authenticated`` users as well, or ``everyone`` with a key.
    """

    enabled: bool = True
    max_depth: Count = 8
    max_cost: Count = 10_000
    introspection: Literal["off", "service", "authenticated", "everyone"] = "authenticated"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything ``mbaas.toml`` and the environment say.

    root: the folder of ``mbaas.toml``; data: ``.mbaas`` in it. functions_sql: the text of each declared function.
    places: the file and line of each key below ``collections``. files: patterns of all that was read, relative to root.
    """

    root: Path
    data: Path
    catalog: Catalog
    functions_sql: dict[str, str] = {}
    places: dict[str, str] = {}
    files: tuple[str, ...] = ()
    app: AppSettings = AppSettings()
    server: ServerSettings = ServerSettings()
    limits: LimitSettings = LimitSettings()
    rest: RestSettings = RestSettings()
    idempotency: IdempotencySettings = IdempotencySettings()
    database: DatabaseSettings = DatabaseSettings()
    mail: MailSettings = MailSettings()
    sms: SmsSettings = SmsSettings()
    outbox: OutboxSettings = OutboxSettings()
    auth: AuthSettings = AuthSettings()
    log: LogSettings = LogSettings()
    plugins: PluginSettings = PluginSettings()
    graphql: GraphQLSettings = GraphQLSettings()
