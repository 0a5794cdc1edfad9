"""Stand-in until the real one is merged."""

from __future__ import annotations

import msgspec

from mbaas.core import errors as e
from mbaas.core.plan import errors as p
from mbaas.core.query import errors as q
from mbaas.http.respond import Reply, Scope

_CODES: dict[type, tuple[str, int]] = {
    e.UnknownField: ("42703", 400),
    e.UnknownPayloadField: ("PGRST204", 400),
    e.UnknownCollection: ("PGRST205", 404),
    e.InvalidValue: ("22P02", 400),
    e.BodyInvalid: ("PGRST102", 400),
    e.RuleRefused: ("42501", 403),
    e.Forbidden: ("42501", 403),
    e.HookRefused: ("P0001", 400),
    e.TooLarge: ("413", 413),
    q.QuerySyntax: ("PGRST100", 400),
    q.UnknownSchema: ("PGRST106", 406),
    q.UnknownFunction: ("PGRST202", 404),
    q.AmbiguousFunction: ("PGRST203", 300),
    q.NotEmbedded: ("PGRST108", 400),
    q.OrderNotToOne: ("PGRST118", 400),
    q.EmbedFilterInvalid: ("PGRST120", 400),
    q.AggregatesOff: ("PGRST123", 400),
    q.Unsupported: ("PGRST127", 400),
    q.RangeInvalid: ("PGRST103", 416),
    q.PreferenceInvalid: ("PGRST122", 400),
    q.NotAcceptable: ("PGRST107", 406),
    q.NotSingular: ("PGRST116", 406),
    q.MaxAffectedExceeded: ("PGRST124", 400),
    q.MaxAffectedUnsupported: ("PGRST128", 400),
    q.MethodNotAllowed: ("PGRST117", 405),
    q.CallMethodNotAllowed: ("PGRST101", 405),
    q.UnknownPath: ("PGRST125", 404),
    p.UnknownType: ("42704", 400),
    p.PatternsOff: ("42501", 403),
    p.NoUniqueTarget: ("42P10", 400),
    e.QueryError: ("PGRST100", 400),
}


def postgrest_dialect(error: e.MbaasError, scope: Scope) -> Reply:
    code, status = next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), ("XX", 500))
    if isinstance(error, e.DatabaseError):
        code = error.sqlstate
        status = {"23505": 409, "23503": 409, "25006": 405, "42501": 403, "42883": 404}.get(code, 400)
    if code == "42501" and scope["state"]["caller"].role == "anon":
        status = 401
    if status == 500:
        raise error
    body = {"code": code, "message": error.message, "details": error.details, "hint": error.hint}
    return Reply(status, msgspec.json.encode(body))
