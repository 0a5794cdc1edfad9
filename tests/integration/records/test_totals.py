"""Totals that are not counted: PostgreSQL's estimate where nothing is hidden, and never a word of what is."""

from __future__ import annotations

import pytest

from tests.integration.records.conftest import Api
from tests.sample import ANA, BEN

MANY = """
insert into public.tags select n, 'tag ' || n from generate_series(10, {last}) n;
analyze public.tags;
"""
HIDDEN = f"""
insert into public.posts (author, title, views) select '{BEN}', 'hidden', 7 from generate_series(1, 3000);
insert into public.comments (post, author, body, private)
    select id, '{BEN}', 'hidden', true from public.posts where title = 'hidden';
update public.profiles set phone = '+9' where id = '{BEN}';
analyze public.posts, public.comments, public.profiles;
"""


async def total(api: Api, path: str, by: str, kind: str) -> int:
    response = await api("HEAD", path, by, prefer=f"count={kind}")
    assert response.status_code in (200, 206), response.text
    return int(response.headers["content-range"].partition("/")[2])


async def test_an_open_collection_is_estimated(api: Api) -> None:
    await api.database.execute(MANY.format(last=20_009))
    assert await total(api, "/tags?limit=1", "anon", "planned") == pytest.approx(20_002, rel=0.05)
    assert await total(api, "/tags?limit=1", "anon", "estimated") == pytest.approx(20_002, rel=0.05)
    assert await total(api, "/tags?limit=1&id=lt.5000", "anon", "planned") == pytest.approx(5_000, rel=0.1)
    # Up to 10,000 rows an estimate is a count, and the last page always is.
    assert await total(api, "/tags?limit=1&id=lt.5000", "anon", "estimated") == 4_992
    assert await total(api, "/tags?offset=20000", "anon", "planned") == 20_002
    assert await total(api, "/tags?id=in.(1,2)", "anon", "planned") == 2
    response = await api("GET", "/tags?select=id&limit=2&order=id", prefer="count=planned")
    assert (response.status_code, response.json()) == (206, [{"id": 1}, {"id": 2}])


async def test_an_estimate_never_contradicts_the_page(api: Api) -> None:
    await api.database.execute(MANY.format(last=10))
    await api.database.execute("delete from public.tags where id > 5; analyze public.tags")
    await api.database.execute("insert into public.tags select n, 'new ' || n from generate_series(100, 199) n")
    for path in ("/tags?limit=50", "/tags?limit=50&offset=40"):
        response = await api("GET", path, prefer="count=planned")
        window, _, of = response.headers["content-range"].partition("/")
        assert int(of) > int(window.partition("-")[2])
    response = await api("GET", "/tags?offset=5000", prefer="count=planned")
    assert response.status_code in (206, 416)
    assert response.headers["content-range"].startswith("*/")


PRIVATE = [
    ("/posts?limit=1", "anon", 2),
    ("/posts?limit=1", "ana", 3),
    ("/posts?limit=1&views=eq.7", "ana", 0),
    ("/posts?limit=1&title=eq.hidden", "ana", 0),
    ("/profiles?limit=1&phone=eq.%2B9", "ana", 0),
    ("/profiles?limit=1&phone=eq.%2B9", "ben", 1),
    ("/tags?select=posts_tags!inner(post)&limit=1", "ana", 1),
    ("/profiles?select=comments!inner(id)&comments.private=is.true&limit=1", "ana", 0),
    ("/profiles?select=comments()&comments=is.null&limit=1", "cat", 0),
    ("/posts?select=published,count()&limit=1", "ana", 2),
]


@pytest.mark.parametrize("kind", ["planned", "estimated"])
async def test_what_is_hidden_changes_no_estimate(api: Api, kind: str) -> None:
    before = [await total(api, path, by, kind) for path, by, _ in PRIVATE]
    await api.database.execute(HIDDEN)
    after = [await total(api, path, by, kind) for path, by, _ in PRIVATE]
    assert after[4:6] == [0, 1]
    assert before[:4] + before[6:] == after[:4] + after[6:]
    for (path, by, expected), found in zip(PRIVATE, after, strict=True):
        assert found == expected, (path, by)


async def test_the_service_key_hides_nothing_from_itself(api: Api) -> None:
    await api.database.execute(HIDDEN)
    assert await total(api, "/posts?limit=1", "service", "planned") == pytest.approx(3_004, rel=0.05)
    assert await total(api, "/posts?limit=1&author=eq." + ANA, "service", "estimated") == 2
