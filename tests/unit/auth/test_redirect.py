"""Where links may lead."""

from __future__ import annotations

import pytest

from mbaas.modules.auth.redirect import AllowList

SITE = "https://app.example.com"
LIST = AllowList(
    SITE,
    (
        "https://*.preview.example.com/**",
        "https://docs.example.com/callback",
        "https://docs.example.com/exact?x=1",
        "fieldnotes://callback",
        "com.example.notes:/oauth",
        "exp://**",
    ),
)


@pytest.mark.parametrize(
    "url",
    [
        SITE,
        f"{SITE}/",
        f"{SITE}/deep/path?a=1&b=%20",
        "HTTPS://APP.example.com/x",
        "https://app.example.com:443/x",
        "https://one.preview.example.com/",
        "https://one.preview.example.com/a/b.html?c=d",
        "https://docs.example.com/callback",
        "https://docs.example.com/callback?sb_flow_id=1",
        "https://docs.example.com/exact?x=1",
        "fieldnotes://callback",
        "fieldnotes://callback?code=1",
        "com.example.notes:/oauth",
        "exp://192.168.0.2:8081/--/x",
        "http://127.0.0.1:51234/cb",
        "http://[::1]:8080/cb",
        "https://127.9.9.9/",
    ],
)
def test_allowed_targets_are_kept(url: str) -> None:
    scheme, _, rest = url.partition(":")
    assert LIST.resolve(url) == f"{scheme.lower()}:{rest}"


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "/",
        "/path",
        "//evil.example",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        "https://",
        "https://evil.example/",
        "http://app.example.com/",
        "https://app.example.com:8443/",
        "https://app.example.com.evil.example/",
        "https://app.example.comevil.example/",
        "https://evil.example/app.example.com",
        "https://app.example.com@evil.example/",
        "https://app.example.com:443@evil.example/",
        "https://user:pw@app.example.com/",
        "https://app.example.com\\@evil.example/",
        "https://app.example.com\\.evil.example/",
        "https:\\\\app.example.com/",
        "https://evil.example\\app.example.com/",
        "https://app.example.com/../x",
        "https://app.example.com/%2e%2E/x",
        "https://app.example.com/a/./b",
        "https://app.example.com//evil.example",
        "https://app.example.com/\r\nset-cookie: a=b",
        "https://app.example.com/\tx",
        "https://app.example.com/ x",
        " https://app.example.com/",
        "https://app.example.com/\x00",
        "https://app.example.com/ünicode",
        "https://аpp.example.com/",
        "https://app。example.com/",
        "https://app.example.com./",
        "https://a.b.preview.example.com/",
        "https://preview.example.com/",
        "https://evil.example#.preview.example.com/",
        "https://evil.example/.preview.example.com/",
        "https://evil.example?.preview.example.com/",
        "https://evil.example:1.preview.example.com/",
        "https://docs.example.com/callback/more",
        "https://docs.example.com/callbackevil",
        "https://docs.example.com/exact?x=2",
        "https://docs.example.com/exact?x=1&y=2",
        "https://docsXexample.com/callback",
        "fieldnotes://other",
        "fieldnotes://callback.evil",
        "fieldnotes:callback",
        "fieldnotesx://callback",
        "com.example.notes:/other",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "javascript://app.example.com/%0aalert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://app.example.com/x",
        "http://localhost/",
        "http://127.0.0.1.evil.example/",
        "http://0x7f.0.0.1/",
        "http://2130706433/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "ftp://127.0.0.1/",
        f"{SITE}/{'x' * 3000}",
    ],
)
def test_every_other_target_is_the_site(url: str | None) -> None:
    assert LIST.resolve(url) == SITE


def test_fragments_are_ours_to_set() -> None:
    assert LIST.resolve(f"{SITE}/x#access_token=forged") == f"{SITE}/x"


def test_a_scheme_that_runs_code_cannot_even_be_allowed() -> None:
    assert AllowList(SITE, ("javascript:**", "data:**")).resolve("javascript:alert(1)") == SITE


def test_a_double_star_does_not_reach_from_the_host_into_another() -> None:
    open_list = AllowList(SITE, ("https://**.example.org/cb",))
    assert open_list.resolve("https://a.b.example.org/cb") == "https://a.b.example.org/cb"
    assert open_list.resolve("https://evil.example/x.example.org/cb") == SITE
