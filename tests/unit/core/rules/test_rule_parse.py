"""What a rule may say, what it may not, and what its author is told."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mbaas.config.load import load
from mbaas.core.errors import ConfigError, RuleError
from mbaas.core.expr import types as t
from mbaas.core.rules.compile import compile_rules
from mbaas.core.rules.parse import MAX_LENGTH, parse_rule
from mbaas.core.schema.catalog import Rules
from mbaas.core.sql.expressions import render_expr
from mbaas.core.sql.fragment import identifier, statement
from tests.sample import ANA, CATALOG

POSTS = CATALOG.collections["posts"]


def parsed(text: str) -> t.Expr:
    return parse_rule(text, collection=POSTS, catalog=CATALOG)


def as_policy(text: str) -> str:
    return statement(render_expr(parsed(text), column=lambda one: identifier(one.name), identity=None)).text


def depth(expr: Any) -> int:
    inner = (
        expr if isinstance(expr, tuple) else [getattr(expr, name) for name in getattr(expr, "__struct_fields__", ())]
    )
    return 1 + max((depth(item) for item in inner), default=0)


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("published", '"published"'),
        ("published or author = auth.uid()", '("published" or ("author" = (select auth.uid())))'),
        ("POSTS.author = auth.uid()".replace("POSTS", "posts"), '("author" = (select auth.uid()))'),
        ("title = '-- ; /* no comment */'", "(\"title\" = '-- ; /* no comment */')"),
        ("title = 'it''s; --'", "(\"title\" = 'it''s; --')"),
        ("title < 'm'", '("title" collate "C" < \'m\')'),
        ("title between slug and 'z'", '(("title" collate "C" >= "slug") and ("title" collate "C" <= \'z\'))'),
        ("'a' >= any(tags)", '(\'a\' collate "C" >= any ("tags"))'),
        ("views < 3", '("views" < 3)'),
        (f"author = '{ANA.upper()}'", f"(\"author\" = '{ANA.upper()}'::uuid)"),
        ("rating > 1.10", "(\"rating\" > '1.10'::numeric)"),
        ("created_at > now() - interval '7 days'", "(\"created_at\" > (now() - '7 DAYS'::interval))"),
        ("auth.uid() in (author, editor)", '((select auth.uid()) in ("author", "editor"))'),
        ("meta -> 'a.b' ->> 0 = 'x'", "((\"meta\" -> 'a.b') ->> 0) = 'x')"),
        ("auth.claim('app_metadata.org') = '1'", "((select auth.claim('app_metadata.org')) = '1'::jsonb)"),
        ("a is null".replace("a", "period"), '("period" is null)'),
        ("published is not true", '(not ("published" is true))'),
        ("rating::numeric = 1", '(("rating")::numeric = 1)'),
        ("trim(both 'x' from title) = ''", "(trim(\"title\", 'x') = '')"),
        ("null", "null"),
        (
            "exists (select 1 from posts where posts.author = posts.editor)",
            'exists (select 1 from "public"."posts" as "s_posts" where ("s_posts"."author" = "s_posts"."editor"))',
        ),
        (
            "exists (select * from posts p where p.author = posts.author)",
            'exists (select 1 from "public"."posts" as "s_p" where ("s_p"."author" = "author"))',
        ),
    ],
)
def test_a_rule_means_this_sql(text: str, sql: str) -> None:
    assert as_policy(text).endswith(sql)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "exactly one expression", "everyone"),
        ("true; true", "exactly one expression", "and, or"),
        ("true -- yes", "without comments", "behind #"),
        ("-- true", "without comments", "behind #"),
        ("title = 'a' /* a */", "without comments", "behind #"),
        ("published and", "no SQL expression", "after WHERE"),
        ("select true", "cannot use 'SELECT TRUE'", "rules.md"),
        ("drop table posts", "cannot use 'DROP TABLE posts'", "rules.md"),
        ("pg_sleep(10) is null", "cannot use 'PG_SLEEP(10)'", "rules.md"),
        ("title ~ 'x'", "cannot use", "rules.md"),
        ("public.posts.published", "cannot use 'public.posts.published'", "rules.md"),
        ("trim(leading 'x' from title) = ''", "cannot use", "rules.md"),
        ("title = e'x'", "cannot use", "rules.md"),
        ("now() = current_timestamp(3)", "cannot use", "rules.md"),
        ("titel = 'x'", "posts has no field 'titel'", "did you mean 'title'?"),
        ("p.title = 'x'", "'p' is neither this collection", None),
        ("auth.user() is null", "there is no auth.user()", "auth.uid()"),
        ("auth.uid(1) is null", "takes no argument", None),
        ("auth.claim(title) is null", "one path as text", "auth.claim("),
        ("exists (select 1 from post)", "there is no collection 'post'", "did you mean 'posts'?"),
        ("exists (select 1 from pg_user)", "there is no collection 'pg_user'", None),
        ("exists (select 1 from auth.users)", "a sub-select is", "no joins"),
        ("exists (select 1 from posts limit 1)", "a sub-select is", "no joins"),
        ("exists (select count(*) from posts)", "cannot use 'COUNT(*)'", "rules.md"),
        ("author in (select id, author from posts)", "exactly one field", None),
        ("exists (select 1 from tags t where exists (select 1 from tags t))", "'t' names two things", "another_name"),
        ("title", "true or false, and this is text", "compare it"),
        ("views + 1", "true or false, and this is int", "compare it"),
        ("'true'", "true or false, and this is a bare constant", "compare it"),
        ("case when published then null end", "true or false, and this is text", "compare it"),
        ("(case when published then null end) is not distinct from true", "cannot bring text and bool", "cast one"),
        ("coalesce(null, null) = 1", "cannot bring text and int together", "cast one"),
        ("views = any(array[null])", "cannot bring int and text together", "cast one"),
        ("author in (select null from posts p)", "cannot bring uuid and text together", "cast one"),
        ("author = 5", "= cannot bring uuid and int together", "cast one"),
        ("author = title", "= cannot bring uuid and text together", "cast one"),
        ("author = 'me'", "'me' is no uuid", None),
        ("created_at > 'yesterday'", "'yesterday' is no timestamptz", None),
        ("published and title", "and is for bool, not for text", None),
        ("not views", "not is for bool, not for int", None),
        ("views is true", "is true is for bool", None),
        ("meta < '1'", "< is not for json", "is null"),
        ("period = period", "= is not for daterange", "is null"),
        ("tags < array['a']", "< is not for text[]", "is null"),
        ("tags = '{a}'", "written array[...]", None),
        ("views ->> 'a' = 'b'", "-> and ->> is for json, not for int", None),
        ("created_at > now() - '7 days'", "there is no timestamptz - a bare constant", "interval"),
        ("created_at::text = ''", "cannot cast timestamptz to text", "text is made from"),
        ("views = any(select 1)", "in (select ...)", None),
        ("views = any(views)", "any(...) takes an array", "array["),
        ("title like 'x\\'", "must not end with escape", None),
        ("lower(title, 'x') = ''", "", None),
        ("starts_with(views, 'x')", "starts_with() is for text, not for int", None),
    ],
)
def test_what_is_no_rule_is_refused_with_the_reason(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(RuleError) as raised:
        parsed(text)
    assert message in raised.value.message
    assert (hint or "") in (raised.value.hint or "")


@pytest.mark.parametrize("many", [2, 11, 31, 1000, 100_000])
@pytest.mark.parametrize(
    "shape",
    [
        ("(", "true", ")"), ("not ", "true", ""), ("", "true", " and true"), ("", "true", " or true"),
        ("case when true then ", "true", " end"), ("[", "", "]"), ("array[", "1", "]"), ("", "views", "+1"),
        ("", "meta", "->'a'"), ("-", "1", ""), ("", "title", " || title"), ("coalesce(", "true", ")"),
        ("(select ", "true", " from posts)"), ("exists (select 1 from posts where ", "true", ")"), ("(", "", ""),
        ("", "true", "::bool"), ("", "published", " is null"), ("- -", "1", ""), ("+", "1", ""), ("~", "1", ""),
    ],
)  # fmt: skip
def test_a_rule_of_any_depth_is_read_or_refused(shape: tuple[str, str, str], many: int) -> None:
    text = shape[0] * many + shape[1] + shape[2] * many
    try:
        expr = parsed(text)
    except RuleError:
        return
    assert many < 1000
    assert depth(expr) < 400  # renders and evaluates within any stack


def test_a_rule_has_a_length() -> None:
    assert parsed("title = '" + "x" * (MAX_LENGTH - 10) + "'")
    with pytest.raises(RuleError, match="at most"):
        parsed("title = '" + "x" * MAX_LENGTH + "'")


@given(st.text(max_size=60) | st.text("()'\"-;=<>.,[]{}$\\ \x00not and or title auth.uid() select 1", max_size=60))
def test_any_text_is_a_rule_or_a_rule_error(text: str) -> None:
    with contextlib.suppress(RuleError):
        assert isinstance(parsed(text), t.Expr.__args__)


def test_every_fault_names_its_collection_and_key() -> None:
    bad = replace(POSTS, rules=Rules(select="titel = ''", delete="true;"))
    with pytest.raises(RuleError) as raised:
        compile_rules(replace(CATALOG, collections={**CATALOG.collections, "posts": bad}))
    assert "collections.posts.rules.select: posts has no field 'titel' (did you mean 'title'?)" in raised.value.message
    assert "collections.posts.rules.delete: a rule is exactly one expression" in raised.value.message


def test_loading_tells_file_and_line_of_a_rule(tmp_path: Path) -> None:
    (tmp_path / "mbaas.toml").write_text(
        "[collections.posts.fields]\n"
        'title = { type = "text", read = "titl = 1" }\n'
        "[collections.posts.rules]\n"
        'select = "true"\n'
        'update = "title"\n'
    )
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "mbaas.toml", {})
    assert "mbaas.toml:2: collections.posts.fields.title.read: posts has no field 'titl'" in raised.value.message
    assert "mbaas.toml:5: collections.posts.rules.update: a rule is true or false" in raised.value.message
