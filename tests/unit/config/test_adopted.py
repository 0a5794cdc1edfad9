"""What is adopted is taken as it is described; what only its owner could change is refused."""

from __future__ import annotations

import pytest

from mbaas.config.adopted import Found, FoundTable, adopted_text, choose, with_include
from mbaas.core.schema.catalog import IndexField
from mbaas.core.schema.table import Foreign, Key, Table, TableColumn, TableIndex
from tests.unit.config.project import Project

TEAMS = Table(
    name="Teams of ours",
    columns=(
        TableColumn(name="id", type="bigint", not_null=True, identity=True),
        TableColumn(name='a"b', type="public.mood[]", default="'{\"x\"}'::mood[]"),
        TableColumn(name="boss", type="uuid", not_null=True),
        TableColumn(name="loud", type="text", generated="upper('x')"),
    ),
    primary=Key(name="k", columns=("id",)),
    uniques=(Key(name="pair", columns=("boss", "id")), Key(name="one", columns=("boss",))),
    foreigns=(Foreign(name="led by", columns=("boss",), table="auth.users", target=("id",)),),
    indexes=(TableIndex(name="late", fields=(IndexField("boss", descending=True),), where="boss is not null"),),
)
FOUND = Found(
    tables=(
        FoundTable(table=TEAMS, row_security=True, callers=("anon",), policies=("p: using (\n true)",)),
        FoundTable(table=Table(name="open", columns=()), row_security=False, callers=("anon",)),
        FoundTable(table=Table(name="private", columns=()), row_security=True, callers=()),
        FoundTable(table=Table(name="mine", columns=()), row_security=True, callers=("anon",)),
    )
)


def test_what_is_written_is_read_back(project: Project) -> None:
    chosen = choose(FOUND, declared=("mine",), functions=())
    assert [left.name for left in chosen.left_out] == ["open", "private"]
    text = adopted_text(chosen)
    project.write(adopted=text)
    main = with_include("[app]\nname = 'x'\n")
    assert main is not None
    teams = project.load(main).catalog.collections["Teams of ours"]
    assert with_include(main) is None
    assert teams.adopted
    assert teams.key == ("id",)
    assert [(field.name, field.type.sql, field.default) for field in teams.fields] == [
        ("id", "bigint", None), ('a"b', "public.mood[]", "'{\"x\"}'::mood[]"), ("boss", "uuid", None), ("loud", "text", None),
    ]  # fmt: skip
    (key,) = teams.foreign_keys
    assert (key.name, key.columns, key.reference.table) == ("led by", ("boss",), "auth.users")
    assert set(teams.unique_sets) == {("id",), ("boss",), ("boss", "id")}
    assert teams.indexes[1].fields == (IndexField("boss", descending=True),)
    assert adopted_text(choose(FOUND, declared=("mine",), functions=())) == text


HEAD = "[collections.teams]\nadopted = true\n"
FAULTS = {
    "[collections.teams.rules]\nselect = 'true'\n": "its own policies decide",
    "realtime = true\n": "the table is somebody else's",
    "[collections.teams.fields]\nid = { }\n": "needs a type",
    "[collections.teams.fields]\nid = { type = 'uuid', default = 'x' }\n": "is an expression here",
    "[collections.teams.foreign_keys]\nk = { fields = ['x'], references = 'y', target = ['z'] }\n": "no field 'x'",
}


@pytest.mark.parametrize("text", FAULTS)
def test_what_is_not_ours_to_say_is_refused(text: str, project: Project) -> None:
    assert FAULTS[text] in project.fault(HEAD + text)


def test_a_function_is_made_or_adopted(project: Project) -> None:
    assert "is made by a file, or is there already" in project.fault("[functions.f]\nexecute = []\n")
    assert project.load("[functions.f]\nadopted = true\n").catalog.functions[0].adopted
