"""``Prefer``, ``Accept`` and ``Content-Type``: each value, each spelling, and what nobody knows."""

from __future__ import annotations

import pytest

from mbaas.core.errors import BodyInvalid
from mbaas.core.query.errors import NotAcceptable, PreferenceInvalid, UnknownSchema
from mbaas.core.query.headers import (
    ROOT,
    applied,
    check_profile,
    content_type,
    parse_accept,
    parse_content_type,
    parse_prefer,
)
from mbaas.core.query.types import Explain, Media, Preferences

PREFERENCES = [
    ([], Preferences(), None),
    (["return=representation"], Preferences(representation="representation"), "return=representation"),
    (["return=minimal"], Preferences(representation="minimal"), "return=minimal"),
    (["return=headers-only"], Preferences(representation="headers-only"), "return=headers-only"),
    (["count=exact"], Preferences(count="exact"), "count=exact"),
    (["count=planned"], Preferences(count="planned"), "count=planned"),
    (["count=estimated"], Preferences(count="estimated"), "count=estimated"),
    (["resolution=merge-duplicates"], Preferences(resolution="merge-duplicates"), "resolution=merge-duplicates"),
    (["resolution=ignore-duplicates"], Preferences(resolution="ignore-duplicates"), "resolution=ignore-duplicates"),
    (["missing=default"], Preferences(missing="default"), "missing=default"),
    (["missing=null"], Preferences(missing="null"), "missing=null"),
    (["tx=rollback"], Preferences(transaction="rollback"), "tx=rollback"),
    (
        ["return=representation,count=exact", "resolution=merge-duplicates"],
        Preferences(representation="representation", count="exact", resolution="merge-duplicates"),
        "resolution=merge-duplicates, return=representation, count=exact",
    ),
    ([" count=exact ,   tx=commit  ,, "], Preferences(count="exact", transaction="commit"), "count=exact, tx=commit"),
    (["tx=commit, tx=rollback"], Preferences(transaction="commit"), "tx=commit"),
    (["count=exact", "count=planned"], Preferences(count="exact"), "count=exact"),
    (
        ['Return=minimal, COUNT = "exact"'],
        Preferences(representation="minimal", count="exact"),
        "return=minimal, count=exact",
    ),
    (["max-affected=3"], Preferences(), None),
    (
        ["handling=strict, max-affected=3"],
        Preferences(handling="strict", max_affected=3),
        "handling=strict, max-affected=3",
    ),
    (
        ["max-affected=0", "handling=strict"],
        Preferences(handling="strict", max_affected=0),
        "handling=strict, max-affected=0",
    ),
    (["handling=lenient, max-affected=3"], Preferences(handling="lenient"), "handling=lenient"),
    (["anything, count=most, timezone=UTC"], Preferences(unknown=("anything", "count=most", "timezone=UTC")), None),
    (["max-affected=-1"], Preferences(unknown=("max-affected=-1",)), None),
    (["return=MINIMAL"], Preferences(unknown=("return=MINIMAL",)), None),
    (["return=minimal; x=y"], Preferences(unknown=("return=minimal; x=y",)), None),
]


@pytest.mark.parametrize(("values", "preferences", "answer"), PREFERENCES, ids=[str(row[0]) for row in PREFERENCES])
def test_prefer_is_read_and_what_holds_is_named(
    values: list[str], preferences: Preferences, answer: str | None
) -> None:
    assert parse_prefer(values) == preferences
    assert applied(preferences) == answer


@pytest.mark.parametrize(
    "value", ["handling=strict, anything", "anything,handling=strict", "handling=strict, max-affected=x"]
)
def test_strict_handling_refuses_what_nobody_knows(value: str) -> None:
    with pytest.raises(PreferenceInvalid) as refused:
        parse_prefer([value])
    assert refused.value.message == "Invalid preferences given with handling=strict"
    assert refused.value.details in ("Invalid preferences: anything", "Invalid preferences: max-affected=x")


OBJECT = Media(kind="object")

ACCEPTED = [
    (None, Media()),
    ("", Media()),
    ("*/*", Media()),
    ("application/*", Media()),
    ("application/json", Media()),
    ("APPLICATION/JSON; charset=utf-8", Media()),
    ("application/vnd.pgrst.object+json", OBJECT),
    ("application/vnd.pgrst.object", OBJECT),
    ("ApplicatIon/vnd.PgRsT.object+json", OBJECT),
    ("application/vnd.pgrst.object+json;nulls=stripped", Media(kind="object", stripped=True)),
    ("application/vnd.pgrst.object ; nulls=stripped", Media(kind="object", stripped=True)),
    ("application/vnd.pgrst.array+json", Media()),
    ("application/vnd.pgrst.array+json;nulls=stripped", Media(stripped=True)),
    ("application/vnd.pgrst.array;nulls=stripped", Media(stripped=True)),
    ("application/json;nulls=stripped", Media()),
    ("text/csv", Media(kind="csv")),
    ("text/csv; version=1", Media(kind="csv")),
    ("text/*", Media(kind="csv")),
    ("text/csv, */*", Media(kind="csv")),
    ("text/csv, application/json", Media(kind="csv")),
    ("text/unknowntype, text/csv", Media(kind="csv")),
    ("text/unknowntype, */*", Media()),
    ("text/csv;q=0.5, application/json;q=0.9", Media()),
    ("text/csv;q=0.5, */*;q=0.1", Media(kind="csv")),
    ("text/csv;q=0, application/json;q=0.1", Media()),
    ("text/csv;q=rubbish, application/json;q=0.1", Media()),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", Media()),
    ('application/vnd.pgrst.plan+json; for="application/json, x"; options=analyze;, text/csv', Media(kind="csv")),
]


@pytest.mark.parametrize(("value", "media"), ACCEPTED, ids=[str(row[0]) for row in ACCEPTED])
def test_the_best_media_type_that_we_make_is_chosen(value: str | None, media: Media) -> None:
    assert parse_accept(value) == media


@pytest.mark.parametrize(
    "value",
    [
        "text/unknowntype",
        "application/geo+json",
        "application/openapi+json",
        "application/json;q=0",
        'application/vnd.pgrst.plan+json; for="application/json"; options=analyze;',
        "a/b, c/d",
        ",",
        "\x00",
        "🦊/fox",
    ],
)
def test_when_none_of_them_is_ours_the_caller_is_told_which_it_asked_for(value: str) -> None:
    with pytest.raises(NotAcceptable) as refused:
        parse_accept(value)
    assert refused.value.message == f"None of these media types are available: {value if value != ',' else ''}"


PLAN = "application/vnd.pgrst.plan"


@pytest.mark.parametrize(
    ("value", "media", "answered"),
    [
        (PLAN, Media(explain=Explain()), f'{PLAN}+text; for="application/json"; charset=utf-8'),
        (
            PLAN + '+json; for="application/json"; options=analyze;',
            Media(explain=Explain("json", ("analyze",))),
            f'{PLAN}+json; for="application/json"; options=analyze; charset=utf-8',
        ),
        (
            PLAN + '+json;for="application/vnd.pgrst.object+json;nulls=stripped";options=verbose|analyze|rubbish',
            Media(kind="object", stripped=True, explain=Explain("json", ("analyze", "verbose"))),
            f'{PLAN}+json; for="application/vnd.pgrst.object+json;nulls=stripped"; options=analyze|verbose; '
            "charset=utf-8",
        ),
        (PLAN + "+text; options=", Media(explain=Explain()), f'{PLAN}+text; for="application/json"; charset=utf-8'),
        (PLAN + '+text; for="image/png", text/csv', Media(kind="csv"), "text/csv; charset=utf-8"),
    ],
)
def test_a_plan_is_asked_for_by_its_media_type(value: str, media: Media, answered: str) -> None:
    found = parse_accept(value, plans=True)
    assert found == media
    assert content_type(found) == answered.encode()


def test_the_root_gives_its_description_first() -> None:
    assert parse_accept("*/*", ROOT) == Media(kind="openapi")
    assert parse_accept("application/openapi+json", ROOT) == Media(kind="openapi")
    assert parse_accept("application/json", ROOT) == Media()
    with pytest.raises(NotAcceptable):
        parse_accept("text/csv", ROOT)


@pytest.mark.parametrize(
    ("media", "text"),
    [
        (Media(), "application/json; charset=utf-8"),
        (Media(stripped=True), "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8"),
        (OBJECT, "application/vnd.pgrst.object+json; charset=utf-8"),
        (Media(kind="object", stripped=True), "application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8"),
        (Media(kind="csv"), "text/csv; charset=utf-8"),
        (Media(kind="openapi"), "application/openapi+json; charset=utf-8"),
    ],
)
def test_an_answer_names_its_type_in_the_long_form(media: Media, text: str) -> None:
    assert content_type(media) == text.encode()
    assert parse_accept(text, (media.kind,)) == media


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "json"),
        ("application/json", "json"),
        ("application/json;charset=UTF-8", "json"),
        ("Application/JSON ; charset=utf-8", "json"),
        ("text/csv", "csv"),
        ("application/x-www-form-urlencoded; charset=UTF-8", "form"),
        ("text/plain", "text"),
        ("application/octet-stream", "bytes"),
    ],
)
def test_a_body_is_what_its_header_says(value: str | None, kind: str) -> None:
    assert parse_content_type(value) == kind


@pytest.mark.parametrize(
    "value", ["multipart/form-data; boundary=x", "application/xml", "", ";", "json\r\nX: y", "a" * 100_000]
)
def test_a_body_of_another_type_is_refused(value: str) -> None:
    with pytest.raises(BodyInvalid) as refused:
        parse_content_type(value)
    assert refused.value.message.startswith("Content-Type not acceptable: ")
    assert len(refused.value.message) < 600


@pytest.mark.parametrize(
    "name", ["auth", "mbaas", "pg_catalog", "information_schema", "PUBLIC", " public", "", "public,auth", "public.auth"]
)
def test_only_the_exposed_schema_can_be_chosen(name: str) -> None:
    check_profile(None)
    check_profile("public")
    with pytest.raises(UnknownSchema) as refused:
        check_profile(name)
    assert refused.value.message == f"Invalid schema: {name}"
    assert refused.value.hint == "Only the following schemas are exposed: public"


def test_a_giant_header_is_not_repeated_in_the_answer() -> None:
    with pytest.raises(PreferenceInvalid) as strict:
        parse_prefer(["handling=strict," + "x," * 50_000])
    with pytest.raises(NotAcceptable) as other:
        parse_accept("a/b," * 50_000)
    assert len(strict.value.details) < 600
    assert len(other.value.message) < 600
