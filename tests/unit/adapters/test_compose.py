"""Texts of messages: every one in every language, what falls back to what, and what nobody can slip into them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbaas.adapters.messages.compose import Composer, TemplateInvalid, Texts
from mbaas.adapters.messages.kinds import KINDS, sample
from mbaas.core.errors import ConfigError
from mbaas.core.observe import Observation, TemplateFailed

COMPOSER = Composer(app="Fieldnotes")


@pytest.mark.parametrize("kind", KINDS)
def test_every_message_is_there_in_english_and_german_and_shows_what_it_is_for(kind: str) -> None:
    for locale in ("en", "de"):
        texts = COMPOSER.source(kind, locale)
        assert texts is not None
        composed = COMPOSER.check(kind, locale, texts)
        assert composed == COMPOSER.preview(kind, locale)
        if KINDS[kind].medium == "sms":
            assert len(composed.text) <= 160
            assert (composed.subject, composed.html) == (None, None)
            continue
        assert composed.html is not None
        assert f'<html lang="{locale}">' in composed.html
        for name in ("link", "code", "new_email", "factor", "provider"):
            if name in KINDS[kind].variables:
                assert sample(kind)[name] in composed.text, name
                assert sample(kind)[name].replace("&", "&amp;") in composed.html, name
    english, german = COMPOSER.preview(kind, "en"), COMPOSER.preview(kind, "de")
    assert english.text != german.text


def test_a_language_falls_back_to_what_it_is_a_variety_of_then_to_the_default() -> None:
    german = COMPOSER.preview("recovery", "de")
    assert COMPOSER.preview("recovery", "de-AT") == german
    assert COMPOSER.preview("recovery", "fr") == COMPOSER.preview("recovery", "en") != german
    assert Composer(app="Fieldnotes", default_locale="de").preview("recovery", "fr-CA") == german
    assert COMPOSER.compose("recovery", sample("recovery"), locales=["fr", "de"]) == german


def test_a_text_of_ones_own_comes_first_by_file_and_before_it_by_administrator(tmp_path: Path) -> None:
    folder = tmp_path / "de-AT"
    folder.mkdir()
    (folder / "confirm.txt").write_text("Subject: Servus von {{ app }}\n\n{{ link }}\n")
    (folder / "confirm.html").write_text('{% extends "layout.html" %}{% block body %}Servus{% endblock %}')
    composer = Composer(app="Fieldnotes", directory=tmp_path)
    composer.check_directory()
    own = composer.preview("confirm", "de-AT")
    assert own.subject == "Servus von Fieldnotes"
    assert own.html is not None
    assert "Servus" in own.html
    assert "padding:32px" in own.html, "our layout is there to build on"
    stored = {"de-AT": Texts(subject="Griaß di", text="{{ code }}")}
    assert composer.preview("confirm", "de-AT", stored=stored).subject == "Griaß di"
    assert composer.preview("confirm", "de").subject == COMPOSER.preview("confirm", "de").subject


def test_a_text_that_fails_when_it_is_sent_gives_way_to_the_next() -> None:
    seen: list[Observation] = []
    composer = Composer(app="Fieldnotes", observe=seen.append)
    broken = {"de": Texts(subject="x", text="{{ nonsense }} {{ code }}")}
    assert composer.preview("confirm", "de", stored=broken) == COMPOSER.preview("confirm", "de")
    assert seen == [TemplateFailed("confirm", "de", "'nonsense' is undefined")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ code", "line 1"),
        ("{{ nonsense }} {{ code }}", "nonsense"),
        ("Hello", "does not show link or code"),
        ("", "empty"),
        ("{{ code }}{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ code }}{{ self.__init__.__globals__ }}", "unsafe"),
        ("{{ code }}{% include '/etc/passwd' %}", "passwd"),
        ("{{ code }}{% for i in range(99999999) %}x{% endfor %}", "range"),
        ("{{ code }}" + "x" * 70_000, "at most"),
        ("{{ code }}{{ link.format_map }}{{ 1 / 0 }}", "division"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused_with_the_reason(text: str, told: str) -> None:
    with pytest.raises(TemplateInvalid, match=told):
        COMPOSER.check("confirm", "en", Texts(subject="Hello", text=text))


def test_a_text_has_what_its_medium_has_and_a_place(tmp_path: Path) -> None:
    for kind, locale, texts in (
        ("confirm", "en", Texts(text="{{ code }}")),
        ("sms_otp", "en", Texts(subject="x", text="{{ code }}")),
        ("nothing", "en", Texts(subject="x", text="{{ code }}")),
        ("confirm", "../en", Texts(subject="x", text="{{ code }}")),
        ("confirm", "EN", Texts(subject="x", text="{{ code }}")),
    ):
        with pytest.raises(TemplateInvalid):
            COMPOSER.check(kind, locale, texts)
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "recovery.txt").write_text("{{ code }}")
    with pytest.raises(ConfigError, match=r"en/recovery\.txt: a mail needs a subject"):
        Composer(app="x", directory=tmp_path).check_directory()


@pytest.mark.parametrize(
    "name", ["Ada\r\nBcc: eve@evil.example", "win at evil.example", "https://evil.example", "<b>A</b>"]
)
def test_what_people_call_themselves_changes_neither_headers_nor_links(name: str) -> None:
    hostile = {"name": name, "new_email": "<script>\r\nBcc: x@example.com"}
    texts = Texts(
        subject="Hello {{ name }}{{ new_email }}",
        text="Hello {{ name }} {{ link }}",
        html="<p>{{ name }} {{ new_email }}</p><a href='{{ link }}'>{{ link }}</a>",
    )
    values = {**sample("email_change"), **hostile}
    composer = Composer(app='App"\r\nBcc: eve@example.com <script>')
    composed = composer.compose("email_change", values, stored={"en": texts})
    assert composed.subject is not None
    assert "\n" not in composed.subject
    assert "\r" not in composed.subject
    assert composed.html is not None
    for body in (composed.text, composed.html, composed.subject):
        assert "evil" not in body
        assert "Bcc: eve@evil" not in body
    assert "<script>" not in composed.html
    assert "<b>" not in composed.html
    assert composed.html.count("href=") == 1


def test_a_link_with_quotes_stays_inside_of_its_attribute() -> None:
    values = {**sample("confirm"), "link": 'https://app.example.com/?a=1&b="><script>'}
    composed = COMPOSER.compose("confirm", values)
    assert composed.html is not None
    assert "<script>" not in composed.html
    assert "a=1&amp;b=&#34;&gt;" in composed.html
    assert values["link"] in composed.text
