"""Both sides are asked for the same, in requests that say how long they are."""

import json
import random

import msgspec
import pytest

from benchmarks.call import Call
from benchmarks.data import Data, short
from benchmarks.ours import Ours
from benchmarks.pocketbase import PocketBase
from benchmarks.workloads import WORKLOADS

DATA = Data(5_000)


@pytest.fixture
def sides(tmp_path):
    made = Ours("mbaas", tmp_path / "a", DATA), PocketBase("PocketBase", tmp_path / "b", DATA)
    for side in made:
        side.tokens = [f"token-of-{number}" for number in DATA.signed_in]
    return made


def test_a_request_ends_where_it_says():
    raw = Call(method="POST", path="/posts?a=1", headers={"apikey": "k"}, body={"title": "Größe"}).raw(8000)

    head, body = raw.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    assert lines[:3] == ["POST /posts?a=1 HTTP/1.1", "host: 127.0.0.1:8000", "apikey: k"]
    assert f"content-length: {len(body)}" in lines
    assert json.loads(body) == {"title": "Größe"}


def test_a_get_has_no_body():
    assert Call(path="/posts").raw(8000) == b"GET /posts HTTP/1.1\r\nhost: 127.0.0.1:8000\r\n\r\n"


@pytest.mark.parametrize("name", ["get", "get_own", "update"])
def test_one_seed_asks_both_sides_for_the_same_records(sides, name):
    ours, theirs = (msgspec.structs.replace(WORKLOADS[name], pool=50).calls(side, seed=7) for side in sides)

    assert len({call.path for call in ours}) > 40
    for mine, other in zip(ours, theirs, strict=True):
        assert short(mine.path.partition("id=eq.")[2]) == other.path.rpartition("/")[2]
        assert mine.headers.get("authorization", "").removeprefix("Bearer ") == other.headers.get("authorization", "")


def test_own_posts_are_of_authors_who_are_signed_in():
    chance = random.Random(1)
    posts = [DATA.own_post(chance) for _ in range(500)]

    assert {post.author for post in posts} == set(DATA.signed_in)
    assert all(0 <= post.number < DATA.rows for post in posts)


def test_a_batch_is_of_one_author(sides):
    ours, theirs = (msgspec.structs.replace(WORKLOADS["batch"], pool=1).calls(side, seed=3)[0].body for side in sides)

    assert len(ours) == len(theirs["requests"]) == 1_000
    assert len({record["author"] for record in ours}) == 1
    assert short(ours[0]["author"]) == theirs["requests"][0]["body"]["author"]
