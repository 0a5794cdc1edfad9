"""A message from its template: the first of the languages wanted that has one, an administrator's before a file's.

Templates are Jinja's, sandboxed. In HTML every value is escaped; a subject is one line; a user's name is taken only as
far as nobody could mistake it for a link. A template that fails falls back to the next one: no mail is lost by it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from mbaas.adapters.messages.kinds import KINDS, sample
from mbaas.adapters.messages.locale import chain, parse_locale
from mbaas.core.errors import ConfigError, QueryError
from mbaas.core.later import later
from mbaas.core.observe import Observe, TemplateFailed, ignore

if TYPE_CHECKING:
    import jinja2
    from jinja2 import sandbox
else:
    jinja2 = later("jinja2")
    sandbox = later("jinja2.sandbox")

MAX_TEMPLATE = 65_536  # characters
_SUBJECT = "Subject: "
_MAX_SUBJECT, _MAX_NAME = 200, 64
_NONE: Mapping[str, Texts] = MappingProxyType({})
_LIKE_A_LINK = re.compile(r"[:/\\@<>]|\.\w")


class TemplateInvalid(QueryError):
    """A template cannot be used."""

    code = "template_invalid"


def _faults() -> tuple[type[Exception], ...]:
    """What a template can do wrong."""
    return jinja2.TemplateError, TemplateInvalid, ArithmeticError, LookupError, TypeError, ValueError, RecursionError


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of one kind in one language. subject, html: for mails; without html a mail is text alone."""

    subject: str | None = None
    text: str
    html: str | None = None


class Composed(msgspec.Struct, frozen=True, kw_only=True):
    """A message ready to go. subject: ``None`` for an SMS."""

    subject: str | None
    text: str
    html: str | None


class Composer:
    """app, site_url: as users know them. directory: templates beside ``mbaas.toml``, which need not exist."""

    def __init__(
        self,
        *,
        app: str,
        site_url: str = "",
        directory: Path | None = None,
        default_locale: str = "en",
        observe: Observe = ignore,
    ) -> None:
        self._common = {"app": _one_line(app), "site_url": site_url}
        self._directory = directory
        self._default = parse_locale(default_locale) or "en"
        self._observe = observe

    @functools.cached_property
    def _html(self) -> jinja2.Environment:
        return _environment(self._directory, autoescape=True)

    @functools.cached_property
    def _text(self) -> jinja2.Environment:
        return _environment(self._directory, autoescape=False)

    def compose(
        self,
        kind: str,
        values: Mapping[str, str],
        *,
        locales: Iterable[str] = (),
        stored: Mapping[str, Texts] = _NONE,
    ) -> Composed:
        """The message. values: what the kind's templates name. stored: an administrator's templates by language."""
        values = {"name": "", **values, **self._common}
        values["name"] = plain_name(values["name"])
        for locale in chain(locales, self._default):
            for texts in (stored.get(locale), self.source(kind, locale)):
                try:
                    if texts is not None:
                        return self._rendered(kind, texts, values)
                except _faults() as error:
                    reason = str(error) if isinstance(error, jinja2.TemplateError) else type(error).__name__
                    self._observe(TemplateFailed(kind, locale, reason))
        raise LookupError(f"no template of {kind} can be used")  # unless our own are broken

    def check(self, kind: str, locale: str, texts: Texts) -> Composed:
        """A sample made with a template somebody wants to set. Raises TemplateInvalid with what is wrong in it."""
        if kind not in KINDS:
            raise TemplateInvalid(f"there is no message {kind!r}", hint="one of " + ", ".join(KINDS))
        if parse_locale(locale) != locale:
            raise TemplateInvalid(f"{locale!r} is no language tag", hint="as in de, de-AT, pt-BR")
        is_mail = KINDS[kind].medium == "mail"
        if is_mail and not (texts.subject or "").strip():
            raise TemplateInvalid("a mail needs a subject")
        if not is_mail and (texts.subject is not None or texts.html is not None):
            raise TemplateInvalid("an SMS has a text, neither subject nor html")
        if any(len(part or "") > MAX_TEMPLATE for part in (texts.subject, texts.text, texts.html)):
            raise TemplateInvalid(f"a template has at most {MAX_TEMPLATE} characters")
        values = {**sample(kind), **self._common}
        try:
            composed = self._rendered(kind, texts, values)
            self._rendered(kind, texts, {**values, "name": ""})
        except _faults() as error:
            if isinstance(error, TemplateInvalid):
                raise
            line = getattr(error, "lineno", None)
            where = f" in line {line}" if line else ""
            raise TemplateInvalid(
                f"the template fails{where}: {error}", hint="it may use " + ", ".join(sample(kind))
            ) from error
        return composed

    def preview(self, kind: str, locale: str | None = None, *, stored: Mapping[str, Texts] = _NONE) -> Composed:
        """How a message looks, with sample values."""
        return self.compose(kind, sample(kind), locales=[locale] if locale else [], stored=stored)

    def check_directory(self) -> None:
        """Try every template beside ``mbaas.toml``. Raises ConfigError naming the file and what is wrong in it."""
        root = self._directory
        for path in sorted(root.glob("*/*.txt")) if root else []:
            kind, locale = path.stem, path.parent.name
            try:
                texts = self.source(kind, locale) if kind in KINDS else None
                self.check(kind, locale, texts or Texts(text=""))
            except TemplateInvalid as error:
                raise ConfigError(f"{path}: {error.message}", hint=error.hint) from error
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"{path}: cannot be read") from error

    def source(self, kind: str, locale: str) -> Texts | None:
        """The texts in the files, ours or those beside ``mbaas.toml``; ``None``: there are none in that language."""
        text = _source(self._text, f"{locale}/{kind}.txt")
        if text is None or KINDS[kind].medium == "sms":
            return None if text is None else Texts(text=text)
        first, _, rest = text.partition("\n")
        subject = first.removeprefix(_SUBJECT) if first.startswith(_SUBJECT) else None
        return Texts(subject=subject, text=rest.lstrip("\n"), html=_source(self._html, f"{locale}/{kind}.html"))

    def locales(self, kind: str) -> tuple[str, ...]:
        """In which languages there are files."""
        names = self._text.list_templates()
        return tuple(name.partition("/")[0] for name in names if name.endswith(f"/{kind}.txt"))

    def _rendered(self, kind: str, texts: Texts, values: Mapping[str, str]) -> Composed:
        subject, html = texts.subject, texts.html
        return _finished(
            kind,
            None if subject is None else _compiled(self._text, subject).render(values),
            _compiled(self._text, texts.text).render(values),
            None if html is None else _compiled(self._html, html).render(values),
            values,
        )


def plain_name(name: str) -> str:
    """A user's name as it may stand in a text: on one line, short, and nothing that a mail program makes a link of.

    >>> plain_name("Ada  Lovelace"), plain_name("win at evil.example"), plain_name("https://evil")
    ('Ada Lovelace', '', '')
    """
    name = _one_line(name)
    return "" if _LIKE_A_LINK.search(name) else name[:_MAX_NAME]


def _one_line(text: str) -> str:
    # Line breaks would start a new header; the mail library refuses them. Control characters show as nothing.
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _environment(directory: Path | None, *, autoescape: bool) -> jinja2.Environment:
    files = [jinja2.FileSystemLoader(directory)] if directory else []
    environment = sandbox.ImmutableSandboxedEnvironment(
        loader=jinja2.ChoiceLoader([*files, jinja2.PackageLoader("mbaas.adapters.messages")]),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.globals.clear()  # range, cycler and the like: texts need none of it
    return environment


@functools.lru_cache(maxsize=256)
def _compiled(environment: jinja2.Environment, source: str) -> jinja2.Template:
    return environment.from_string(source)


def _source(environment: jinja2.Environment, name: str) -> str | None:
    try:
        return environment.loader.get_source(environment, name)[0] if environment.loader else None
    except jinja2.TemplateNotFound:
        return None


def _finished(kind: str, subject: str | None, text: str, html: str | None, values: Mapping[str, str]) -> Composed:
    if not text.strip():
        raise TemplateInvalid("the text is empty")
    proof = KINDS[kind].proof
    for body in (text, html):
        shown = [name for name in proof if body is not None and _shows(body, values.get(name, ""))]
        if proof and body is not None and not shown:
            raise TemplateInvalid(f"it does not show {' or '.join(proof)}: its reader could do nothing with it")
    line = None if subject is None else _one_line(subject)[:_MAX_SUBJECT]
    return Composed(subject=line, text=text.strip() + "\n", html=html)


def _shows(body: str, value: str) -> bool:
    return bool(value) and (value in body or value.replace("&", "&amp;") in body)
