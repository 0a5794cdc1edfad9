"""What is known of providers by name. A name that is not here is a provider of OpenID Connect, found by its issuer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from mbaas.modules.auth.providers import profile
from mbaas.modules.auth.providers.profile import Profile

AuthMethod = Literal["client_secret_basic", "client_secret_post", "none"]


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """issuer: that tokens and identities carry. discovery: whether it tells its addresses itself. aliases: other
    spellings of the issuer in tokens. auth_method: ``None``: as its metadata say. pkce: ``None``: likewise. nonce:
    whether its tokens give one back. form_post: it sends its answer as a form. emails_url: of addresses alone.
    headers_client_id: whether it wants to know the app on every request.
    """

    issuer: str | None = None
    discovery: bool = True
    aliases: tuple[str, ...] = ()
    authorize_url: str | None = None
    token_url: str | None = None
    userinfo_url: str | None = None
    emails_url: str | None = None
    jwks_url: str | None = None
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    parameters: dict[str, str] = {}
    auth_method: AuthMethod | None = None
    pkce: bool | None = None
    nonce: bool = True
    form_post: bool = False
    headers_client_id: bool = False
    read: Callable[[str, Mapping[str, Any]], Profile] = profile.standard


GENERIC = Preset()
_SLACK = Preset(issuer="https://slack.com", auth_method="client_secret_post")
_MICROSOFT = Preset(
    # Tokens name the tenant of the user where the metadata say {tenantid}.
    issuer="https://login.microsoftonline.com/common/v2.0",
    auth_method="client_secret_post",
    pkce=True,
    read=profile.microsoft,
)
_LINKEDIN = Preset(
    issuer="https://www.linkedin.com/oauth",
    aliases=("https://www.linkedin.com",),
    auth_method="client_secret_post",
    pkce=False,
    nonce=False,
)
PRESETS: dict[str, Preset] = {
    "apple": Preset(
        issuer="https://appleid.apple.com",
        scopes=("name", "email"),
        auth_method="client_secret_post",
        pkce=False,
        form_post=True,
    ),
    "azure": _MICROSOFT,
    "microsoft": _MICROSOFT,
    "discord": Preset(
        issuer="https://discord.com",
        discovery=False,
        authorize_url="https://discord.com/oauth2/authorize",
        token_url="https://discord.com/api/oauth2/token",  # noqa: S106 - an address
        userinfo_url="https://discord.com/api/users/@me",
        scopes=("identify", "email"),
        pkce=True,
        read=profile.discord,
    ),
    "facebook": Preset(
        issuer="https://www.facebook.com",
        discovery=False,
        authorize_url="https://www.facebook.com/v21.0/dialog/oauth",
        token_url="https://graph.facebook.com/v21.0/oauth/access_token",  # noqa: S106 - an address
        userinfo_url="https://graph.facebook.com/v21.0/me?fields=id,name,email,picture",
        scopes=("email", "public_profile"),
        auth_method="client_secret_post",
        pkce=True,
        read=profile.facebook,
    ),
    "github": Preset(
        issuer="https://github.com",
        discovery=False,
        authorize_url="https://github.com/login/oauth/authorize",
        token_url="https://github.com/login/oauth/access_token",  # noqa: S106 - an address
        userinfo_url="https://api.github.com/user",
        emails_url="https://api.github.com/user/emails",
        scopes=("read:user", "user:email"),
        auth_method="client_secret_post",
        pkce=True,
        read=profile.github,
    ),
    "gitlab": Preset(issuer="https://gitlab.com", pkce=True),
    "google": Preset(issuer="https://accounts.google.com", aliases=("accounts.google.com",), pkce=True),
    "keycloak": Preset(pkce=True),
    "linkedin": _LINKEDIN,
    "linkedin_oidc": _LINKEDIN,
    "slack": _SLACK,
    "slack_oidc": _SLACK,
    "spotify": Preset(
        issuer="https://accounts.spotify.com",
        discovery=False,
        authorize_url="https://accounts.spotify.com/authorize",
        token_url="https://accounts.spotify.com/api/token",  # noqa: S106 - an address
        userinfo_url="https://api.spotify.com/v1/me",
        scopes=("user-read-email",),
        pkce=True,
        read=profile.spotify,
    ),
    "twitch": Preset(
        issuer="https://id.twitch.tv/oauth2",
        discovery=False,
        authorize_url="https://id.twitch.tv/oauth2/authorize",
        token_url="https://id.twitch.tv/oauth2/token",  # noqa: S106 - an address
        userinfo_url="https://api.twitch.tv/helix/users",
        scopes=("user:read:email",),
        auth_method="client_secret_post",
        pkce=False,
        headers_client_id=True,
        read=profile.twitch,
    ),
    "x": Preset(
        issuer="https://x.com",
        discovery=False,
        authorize_url="https://x.com/i/oauth2/authorize",
        token_url="https://api.x.com/2/oauth2/token",  # noqa: S106 - an address
        userinfo_url="https://api.x.com/2/users/me?user.fields=confirmed_email,profile_image_url,name,username",
        scopes=("users.read", "users.email", "tweet.read"),
        auth_method="client_secret_basic",
        pkce=True,
        read=profile.x,
    ),
}
