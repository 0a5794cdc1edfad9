"""What goes beyond the dialect's filters, as clients ask for it: pages by cursor, full text, nearness, having."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from supabase import ClientOptions, create_client

from tests.contract.conftest import Js, Server

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "queries.md"
SPOTS = [
    {"name": "Fat Cat Café", "about": "Cats sleep on the tables", "language": "english", "stars": 4,
     "embedding": "[1,0,0]", "location": "(52.5200,13.4050)"},
    {"name": "Park", "about": "A cat was seen", "kind": "park", "language": None, "stars": 2,
     "embedding": "[0.9,0.1,0]", "location": "(52.5145,13.3501)"},
    {"name": "Katzencafé", "about": "Die Katzen schlafen", "language": "german", "stars": 5,
     "embedding": "[0,1,0]", "location": "(48.1372,11.5756)"},
    {"name": "Suva", "about": "Just east of the line", "language": "english", "stars": 1,
     "embedding": None, "location": "(-18.1,-179.9)"},
    {"name": "Taveuni", "about": "Just west of the line", "language": "english", "stars": 3,
     "embedding": "[0,0,1]", "location": "(-18.1,179.9)"},
    {"name": "Secret cat", "about": "Nobody sees the cats", "language": "english", "stars": 9, "public": False,
     "embedding": "[1,0,0]", "location": "(52.5200,13.4050)"},
]  # fmt: skip


@pytest.fixture(scope="module")
def anon(server: Server) -> Iterator[httpx.Client]:
    """Someone with the public key alone, among spots and rides."""
    rides = [{"distance": 5, "near": "home", "having": "x", "within": "town"}, {"distance": 50}]
    with httpx.Client(base_url=server.url + "/rest/v1", headers=server.headers(key=server.service_key)) as service:
        spots = [{"kind": "cafe", "public": True} | spot for spot in SPOTS]
        for path, rows in (("/spots", spots), ("/rides", rides)):
            made = service.post(
                path, json=rows, params={} if path == "/spots" else {"columns": "distance,near,having,within"}
            )
            assert made.status_code == 201, made.text
    with httpx.Client(base_url=server.url + "/rest/v1", headers=server.headers()) as client:
        yield client


def names(client: httpx.Client, query: str) -> list[str]:
    answer = client.get(f"/spots?{query}")
    assert answer.status_code in (200, 206), answer.text
    return [row["name"] for row in answer.json()]


@pytest.fixture
def member(server: Server, shared: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url + "/rest/v1", headers=server.headers(shared.owner.token)) as client:
        yield client


# --- search ----------------------------------------------------------------------------------------------------------


def test_words_find_rows_by_rank_each_in_its_language(anon: httpx.Client) -> None:
    assert names(anon, "search=cat") == ["Fat Cat Café", "Park"]
    assert names(anon, "search=katze") == ["Katzencafé"]
    assert names(anon, "search=sleeping") == ["Fat Cat Café"]
    assert names(anon, 'search="fat cats"') == ["Fat Cat Café"]
    assert names(anon, "search=cat -fat") == ["Park"]
    assert names(anon, "search=cat or katze&order=stars.desc") == ["Katzencafé", "Fat Cat Café", "Park"]
    assert names(anon, "search=") == []
    assert names(anon, "search=%27 %26 | ( ! :* \\") == []


def test_a_search_goes_with_everything_else(anon: httpx.Client) -> None:
    assert names(anon, "search=cat&kind=eq.park") == ["Park"]
    counted = anon.get("/spots?select=name,rank&search=cat&limit=1", headers={"prefer": "count=exact"})
    assert counted.headers["content-range"] == "0-0/2"
    assert counted.json()[0]["rank"] > 0
    assert "_search" not in anon.get("/spots?search=cat").json()[0]
    for header in ({}, {"accept": "text/csv"}):
        assert anon.get("/spots?search=cat", headers=header).status_code == 200


def test_what_is_kept_for_searching_is_nobodys_to_read(anon: httpx.Client, server: Server) -> None:
    assert anon.get("/spots?select=_search").status_code == 400
    assert anon.get("/spots?_search=fts.cat").status_code == 400
    service = server.headers(key=server.service_key)
    assert "_search" not in anon.get("/spots?limit=1", headers=service).json()[0]
    assert "_search" not in anon.get("/", headers=service).text


# --- near ------------------------------------------------------------------------------------------------------------


def test_vectors_are_found_by_nearness(anon: httpx.Client) -> None:
    assert names(anon, "near=embedding.[1,0,0]") == ["Fat Cat Café", "Park", "Katzencafé", "Taveuni"]
    assert names(anon, "near=embedding.[1,0,0]&limit=1") == ["Fat Cat Café"]
    assert names(anon, "near=embedding.[1,0,0]&distance=lt.0.4") == ["Fat Cat Café", "Park"]
    assert names(anon, "near=embedding.[1,0,0]&distance=lt.0.4&order=distance.desc") == ["Park", "Fat Cat Café"]
    rows = anon.get("/spots?select=name,how:distance&near=embedding.[1,0,0]&limit=2").json()
    assert [round(row["how"], 4) for row in rows] == [0, 0.0061]


# --- within ----------------------------------------------------------------------------------------------------------


def test_points_are_found_by_where_they_are(anon: httpx.Client) -> None:
    assert names(anon, "within=location.(52.52,13.405,1000m)") == ["Fat Cat Café"]
    assert names(anon, "within=location.(52.52,13.405,4km)") == ["Fat Cat Café", "Park"]
    assert names(anon, "within=location.(52.52,13.405,400mi)&order=distance.desc&limit=1") == ["Katzencafé"]
    assert names(anon, "within=location.(52.0,13.0,53.0,13.36)") == ["Park"]
    assert names(anon, "within=location.(-18,180,50km)&order=name") == ["Suva", "Taveuni"]
    assert names(anon, "within=location.(-19,179,-18,-179)&order=name") == ["Suva", "Taveuni"]
    assert names(anon, "within=location.(-90,0,9000km)&order=name") == ["Suva", "Taveuni"]
    rows = anon.get("/spots?select=name,distance&within=location.(52.52,13.405,4km)&distance=gt.1").json()
    assert [(row["name"], round(row["distance"])) for row in rows] == [("Park", 3765)]


# --- cursor ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [
    "order=stars", "search=cat", "near=embedding.[1,0,0]", "within=location.(0,0,20000km)", "search=cat&order=name.desc",
    "within=location.(52.5,13.4,600km)&order=distance.desc",
])  # fmt: skip
def test_pages_follow_the_links(anon: httpx.Client, query: str) -> None:
    whole = names(anon, query)
    found: list[str] = []
    link: str | None = f"?{query}&limit=2&cursor=*"
    while link is not None:
        answer = anon.get("/spots" + link)
        assert answer.status_code == 200, answer.text
        found += [row["name"] for row in answer.json()]
        followed = re.fullmatch(r'<(\?[^>]*)>; rel="next"', answer.headers.get("link", ""))
        link = None if followed is None else followed[1]
    assert found == whole


def test_another_search_has_other_cursors(anon: httpx.Client) -> None:
    link = anon.get("/spots?search=cat&limit=1&cursor=*").headers["link"][1:].partition(">")[0]
    assert anon.get("/spots" + link).status_code == 200
    answer = anon.get("/spots" + link.replace("search=cat", "search=line"))
    assert (answer.status_code, answer.json()["message"]) == (400, "The cursor does not belong to this query")


# --- having ----------------------------------------------------------------------------------------------------------


def test_groups_are_chosen_by_their_aggregates(anon: httpx.Client, member: httpx.Client) -> None:
    def kinds(query: str) -> list[Any]:
        answer = member.get(f"/spots?{query}&order=kind")
        assert answer.status_code == 200, answer.text
        return [row["kind"] for row in answer.json()]

    assert kinds("select=kind,stars.sum()&having=sum.gt.10") == ["cafe"]
    assert kinds("select=kind,stars.sum()&having=sum.lte.10") == ["park"]
    assert kinds("select=kind,n:count()&having=n.gte.1") == ["cafe", "park"]
    assert kinds("select=kind,stars.sum(),count()&having=or(count.eq.1,sum.gt.100)") == ["park"]
    assert kinds("select=kind,stars.sum(),stars.avg()&having=sum.gt.1,avg.lt.3&having=sum.lt.9") == ["park"]
    assert kinds("select=kind,stars.max()&having=max.in.(2,7)") == ["park"]
    assert kinds("select=kind,stars.max()::text&having=max.like.2*") == ["park"]
    counted = member.get("/spots?select=kind,count()&having=count.gt.1", headers={"prefer": "count=exact"})
    assert counted.headers["content-range"] == "0-0/1"
    assert anon.get("/spots?select=kind,count()&having=count.gt.1").json()["code"] == "PGRST123"


# --- columns of those names, and what is refused ---------------------------------------------------------------------


def test_a_column_of_such_a_name_is_a_column(anon: httpx.Client) -> None:
    for query in (
        "distance=lt.10",
        "near=eq.home",
        "having=eq.x",
        "within=like.t*",
        '"near"=eq.home',
        "or=(near.eq.home)",
    ):
        for _ in range(2):
            assert [row["distance"] for row in anon.get(f"/rides?{query}").json()] == [5], query
    assert [row["distance"] for row in anon.get("/rides?distance=gt.10").json()] == [50]


@pytest.mark.parametrize(("query", "said"), [
    ("/spots?near=embedding.[1,0]", "near has 2 numbers"), ("/spots?near=embedding.[1,0,x]", "failed to parse near"),
    ("/spots?near=embedding.[NaN,0,1]", "failed to parse near"), ("/spots?near=embedding.[1e99,0,1]", "failed to parse near"),
    ("/spots?near=location.[1,0,0]", "needs a field of type vector"), ("/spots?near=nothing.[1,0,0]", "does not exist"),
    ("/spots?within=location.(52,13,10)", "failed to parse within"), ("/spots?within=location.(95,13,10m)", "no place"),
    ("/spots?within=location.(52,13,10furlongs)", "failed to parse within"),
    ("/spots?within=location.(53,13,52,14)", "south edge"), ("/spots?within=location.(1,2)", "failed to parse within"),
    ("/spots?within=embedding.(1,2,3m)", "needs a field of type point"), ("/spots?distance=lt.1", "distance is of nothing"),
    ("/spots?near=embedding.[1,0,0]&distance=lt.x", "invalid input syntax"), ("/posts?search=x", "cannot be searched"),
    ("/spots?search=a&search=b", "search is given twice"), ("/spots?having=sum.gt.1", "having is of aggregates"),
    ("/spots?select=kind,stars.sum()&having=nothing.gt.1", "no aggregate"), ("/spots?embedding=eq.[1]", "cannot be asked"),
    ("/spots?order=location", "no order by type point"), ("/spots?cursor=x", "does not belong"),
    ("/rpc/published_posts?cursor=*", "published_posts"), ("/spots?select=distance", "does not exist"),
])  # fmt: skip
def test_what_makes_no_sense_is_said(member: httpx.Client, query: str, said: str) -> None:
    for _ in range(2):
        answer = member.get(query)
        assert answer.status_code in (400, 404), answer.text
        assert said in answer.json()["message"]


@pytest.mark.parametrize("place", ["(91,0)", "(0,181)", "(NaN,0)", "(0,Infinity)"])
def test_a_point_lies_on_the_earth(anon: httpx.Client, server: Server, place: str) -> None:
    answer = anon.post("/spots", json={"name": "x", "location": place}, headers=server.headers(key=server.service_key))
    assert answer.status_code == 400, answer.text


EXAMPLES = re.findall(r"^GET /rest/v1(/spots\?.*)$", GUIDE.read_text(), re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_guide_runs(anon: httpx.Client, member: httpx.Client, example: str) -> None:
    answer = member.get(example)
    assert answer.status_code == 200, answer.text
    assert answer.json()


def test_what_is_searched_follows_what_is_written(anon: httpx.Client, server: Server) -> None:
    headers = server.headers(key=server.service_key) | {"prefer": "return=representation"}
    spot = {"name": "Zebra crossing", "public": False, "location": "(1,2)", "embedding": "[1,2,3]"}
    made = anon.post("/spots", json=spot, headers=headers)
    assert made.status_code == 201, made.text
    row = made.json()[0]
    assert "_search" not in row
    assert (row["location"], row["embedding"]) == ("(1,2)", "[1,2,3]")

    def found(word: str) -> int:
        return len(anon.get(f"/spots?search={word}", headers=headers).json())

    assert (found("zebra"), found("giraffe")) == (1, 0)
    changed = anon.patch(f"/spots?id=eq.{row['id']}", json={"about": "giraffes"}, headers=headers)
    assert changed.json()[0]["about"] == "giraffes"
    assert found("giraffe") == 1
    put = anon.put(f"/spots?id=eq.{row['id']}", json={"id": row["id"], "name": "Okapi"}, headers=headers)
    assert put.status_code == 200, put.text
    assert (found("zebra"), found("okapi")) == (0, 1)
    for value in ({"_search": "x"}, {"embedding": "[1]"}, {"embedding": "x"}, {"location": "here"}):
        answer = anon.patch(f"/spots?id=eq.{row['id']}", json=value, headers=headers)
        assert answer.status_code == 400, answer.text
    long = anon.patch(
        f"/spots?id=eq.{row['id']}", json={"about": "".join(f"w{i} " for i in range(150_000))}, headers=headers
    )
    assert long.status_code in (400, 413), long.text
    assert anon.delete(f"/spots?id=eq.{row['id']}", headers=headers).status_code == 200


# --- through the clients ---------------------------------------------------------------------------------------------


async def test_supabase_js_asks_with_parameters_appended(anon: httpx.Client, server: Server, js: Js) -> None:
    code = """
    const ask = (columns, words) => {
      const query = createClient(args.key).from('spots').select(columns);
      for (const [word, text] of Object.entries(words)) query.url.searchParams.append(word, text);
      return query;
    };
    const found = [];
    for (const words of args.words) found.push((await ask('name', words)).data.map((row) => row.name));
    return found;
    """
    words = [
        {"search": "fat cats"},
        {"near": "embedding.[1,0,0]", "distance": "lt.0.4"},
        {"within": "location.(52.52,13.405,1000m)"},
    ]
    assert await js(code, words=words, key=server.anon_key) == [
        ["Fat Cat Café"],
        ["Fat Cat Café", "Park"],
        ["Fat Cat Café"],
    ]


async def test_supabase_py_asks_with_parameters_appended(anon: httpx.Client, server: Server) -> None:
    def ask() -> list[Any]:
        with httpx.Client(timeout=30) as http:
            options = ClientOptions(auto_refresh_token=False, httpx_client=http)
            query = create_client(server.url, server.anon_key, options).table("spots").select("name")
            query.request.params = query.request.params.add("search", "fat cats")
            return list(query.execute().data)

    assert await asyncio.to_thread(ask) == [{"name": "Fat Cat Café"}]
