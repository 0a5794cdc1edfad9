"""Routes that browsers and mail clients open by a link, without headers: no API key is asked there.

What guards them is in the link itself: a one-time token, a signature, or a bucket that is public.
"""

from __future__ import annotations

ANY = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"))
READ = frozenset(("GET", "HEAD"))
PUT = frozenset(("PUT",))

EXEMPT: tuple[tuple[str, frozenset[str]], ...] = (
    ("/auth/v1/verify", ANY),
    ("/auth/v1/callback", ANY),
    ("/auth/v1/authorize", ANY),
    ("/auth/v1/.well-known/", READ),
    ("/auth/v1/sso/saml/", ANY),
    ("/storage/v1/object/public/", READ),
    ("/storage/v1/object/sign/", READ),
    ("/storage/v1/render/image/public/", READ),
    ("/storage/v1/render/image/sign/", READ),
    ("/storage/v1/object/upload/sign/", PUT),
)
"""Path and methods. A path that ends with a slash stands for everything below it, another for itself."""


def is_exempt(method: str, path: str) -> bool:
    """Whether a request needs no API key.

    >>> is_exempt("GET", "/auth/v1/verify"), is_exempt("GET", "/auth/v1/verify/x"), is_exempt("OPTIONS", "/rest/v1/t")
    (True, False, True)
    """
    if method == "OPTIONS":
        return True
    return any(
        method in methods and (path.startswith(known) if known.endswith("/") else path == known)
        for known, methods in EXEMPT
    )
