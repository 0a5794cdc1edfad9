"""Rows as CSV (RFC 4180): a header line, null as nothing, JSON values as JSON."""

from __future__ import annotations

import csv
import io

import msgspec

from mbaas.modules.records.results import Page

_ROWS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_TEXT = msgspec.json.Decoder(str)


def as_csv(page: Page) -> bytes:
    """The page's rows, columns in the order of its keys, no newline at the end. Numbers keep every digit."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(page.keys)
    for row in _ROWS.decode(page.body):
        writer.writerow([_cell(row.get(key)) for key in page.keys])
    return out.getvalue().removesuffix("\n").encode()


def _cell(raw: msgspec.Raw | None) -> str:
    text = b"null" if raw is None else bytes(raw)
    if text == b"null":
        return ""
    return _TEXT.decode(text) if text.startswith(b'"') else text.decode()
