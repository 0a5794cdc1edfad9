"""``python -m mbaas.config.reference > docs/reference/settings.md``: every key, from the structs that read it."""

from __future__ import annotations

import inspect
import re
import sys
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from mbaas.config.inputs import (
    CollectionInput,
    FieldInput,
    ForeignKeyInput,
    FunctionInput,
    IndexInput,
    RelationInput,
    RulesInput,
    SearchInput,
)
from mbaas.config.load import SECTIONS
from mbaas.config.settings import ProviderSettings
from mbaas.core.schema.types import SCALARS

_HEAD = """# Every setting

<!-- Written by `python -m mbaas.config.reference > docs/reference/settings.md`; change the docstrings instead. -->

What `mbaas.toml` may say. Sizes are in bytes; a name that ends in `_s` is a time in seconds. An unknown key, a wrong
type or a missing variable stops the start, and the message names file, line, key and a way to mend it.

Any value may be `"env:NAME"`: the variable's text, in the type of the key. Any key can be overridden by the variable
named beside it. A text is taken as it stands; a number, a switch or a list is written as in `mbaas.toml`:

```sh
MBAAS_SERVER__PORT=9000 MBAAS_SERVER__CORS_ORIGINS='["https://app.example.com"]' mbaas serve
```

What a variable holds never appears in a message. `include = ["collections/*.toml"]` in `mbaas.toml` reads more files,
relative to it; a key set in two of them is an error.
"""
_TABLES: dict[str, type[msgspec.Struct]] = {
    "auth.providers.<name>": ProviderSettings,
    "collections.<name>": CollectionInput,
    "collections.<name>.fields.<field>": FieldInput,
    "collections.<name>.rules": RulesInput,
    "collections.<name>.indexes": IndexInput,
    "collections.<name>.relations.<relation>": RelationInput,
    "collections.<name>.search": SearchInput,
    "collections.<name>.foreign_keys.<constraint>": ForeignKeyInput,
    "functions.<name>": FunctionInput,
}
_NAMES = re.compile(r"(?:^|(?<=\.\s)|(?<=[;,]\s))(?P<names>[a-z_]+(?:, [a-z_]+)*): ")


def reference() -> str:
    """The page, as Markdown."""
    parts = [_HEAD]
    for name, kind in SECTIONS.items():
        parts += _section(name, kind, variables=True)
        for field in msgspec.structs.fields(kind):
            if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
                parts += _section(f"{name}.{field.name}", field.type, variables=True)
    for name, kind in _TABLES.items():
        parts += _section(name, kind, variables=False)
    rows = "\n".join(f"| `{name}` | `{sql}` |" for name, sql in SCALARS.items())
    parts.append(
        "## Field types\n\n`[]` behind a type makes an array of it; `numeric(p,s)` has p digits, s of them decimals; "
        "`vector(n)` has n numbers."
        f"\n\n| type | PostgreSQL |\n| --- | --- |\n{rows}\n"
    )
    return "\n".join(parts)


def meanings(kind: type[msgspec.Struct]) -> tuple[str, dict[str, str]]:
    """The first sentence of a struct's docstring, and what it says of each key."""
    summary, _, rest = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")
    text = " ".join(rest.split())
    known = set(kind.__struct_fields__)
    said: dict[str, str] = {}
    found = [match for match in _NAMES.finditer(text) if set(match["names"].split(", ")) <= known]
    for match, after in zip(found, [*found[1:], None], strict=True):
        words = text[match.end() : after.start() if after else len(text)].strip()
        for name in match["names"].split(", "):
            said[name] = words.rstrip(".")
    return " ".join(summary.split()), said


def _section(name: str, kind: type[msgspec.Struct], *, variables: bool) -> list[str]:
    summary, said = meanings(kind)
    table = f"[[{name}]]" if kind is IndexInput else f"[{name}]"
    lines = [f"## `{table}`", "", _markdown(re.sub(r"^``[^`]*``[:.] ?", "", summary)), ""]
    head = ["key", "type", "default", *(["variable"] if variables else []), "meaning"]
    lines += [_row(head), _row(["---"] * len(head))]
    for field in msgspec.structs.fields(kind):
        if variables and isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            continue  # a section of its own
        variable = f"`MBAAS_{name.replace('.', '__').upper()}__{field.name.upper()}`"
        row = [f"`{field.name}`", type_words(field.type), _default(field)]
        lines.append(_row([*row, *([variable] if variables else []), _markdown(said.get(field.name, ""))]))
    return ["\n".join(lines) + "\n"]


def type_words(kind: Any) -> str:
    """A type in the words of TOML."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return type_words(inner[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in {Union, types.UnionType}:
        return ", ".join(type_words(part) for part in inner if part is not type(None))
    if origin is tuple:
        return f"list of {type_words(inner[0])}"
    if origin is dict:
        return "table" if inner[1] is str else "tables by name"
    words = {
        int: "whole number",
        float: "number",
        str: "text",
        bool: "true or false",
        Any: "a value of the field's type",
    }
    return words.get(kind, "table")


def toml_default(field: msgspec.structs.FieldInfo) -> str | None:
    """A key's default as TOML; None when there is none, or nothing is one."""
    value = field.default if field.default is not msgspec.NODEFAULT else None
    if value is None or isinstance(value, msgspec.Struct):
        return None
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "must be given"
    text = toml_default(field)
    return "" if text is None else f"`{text}`"


def _markdown(text: str) -> str:
    text = text.replace("``None``: ", "without it: ").replace("``None``", "leave it out")
    return (text[:1].upper() + text[1:]).replace("``", "`").replace("|", "\\|")


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(reference())
