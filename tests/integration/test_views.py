"""What PostgreSQL says of a view's columns, however the view is written."""

from __future__ import annotations

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.introspect import read_views

SCRIPT = r"""
create table public.a (id int primary key, "odd {name" text, n int);
create table public.b (gone int, id int primary key, a int references public.a, t text);
alter table public.b drop column gone;
create view public.joined as
    select b.id, a."odd {name" as "it's {\} (", b.t || '}' as made, deep.n as inner_n, b.a
    from public.b join public.a on a.id = b.a
    join (select id as key, n from public.a where "odd {name" <> ':resorigtbl 1') as deep on deep.key = b.a
    where exists (select id from public.a where a.n > 0)
    order by b.t;
create view public.united as select id, n from public.a union all select id, a from public.b;
create view public.summed as select a, count(*) as id from public.b group by a having count(*) > 0;
create view public.above as select id, a as upper from public.joined;
"""


async def test_each_column_is_traced_to_where_it_comes_from(database: Database) -> None:
    await database.execute(SCRIPT)
    found = await read_views(database, ["joined", "united", "summed", "above", "a", "missing"])
    assert set(found) == {"joined", "united", "summed", "above"}
    assert found["joined"].columns == ("id", r"it's {\} (", "made", "inner_n", "a")
    assert found["joined"].origins == {
        "id": ("b", "id"),
        r"it's {\} (": ("a", "odd {name"),
        "inner_n": ("a", "n"),
        "a": ("b", "a"),
    }
    assert found["united"].origins == {}
    assert found["summed"].origins == {"a": ("b", "a")}
    assert found["above"].origins == {"id": ("b", "id"), "upper": ("b", "a")}
    assert await read_views(database, []) == {}
