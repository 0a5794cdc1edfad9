"""Python client of an mbaas server.

>>> from mbaas_sdk import Client
>>> client = Client("http://127.0.0.1:8000", "the anon key")
>>> client.auth.sign_in(email="ada@example.com", password="correct horse battery")    # doctest: +SKIP
>>> client.collection("posts").where("published", "is", True).limit(10).fetch()       # doctest: +SKIP
"""

from mbaas_sdk.async_client import AsyncClient
from mbaas_sdk.client import Client
from mbaas_sdk.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    MbaasError,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from mbaas_sdk.types import Operation, Page, Record, Result, Session, User, ref

__all__ = [
    "AsyncClient",
    "BadRequest",
    "Client",
    "Conflict",
    "Forbidden",
    "MbaasError",
    "NotFound",
    "Operation",
    "Page",
    "RateLimited",
    "Record",
    "Result",
    "Session",
    "Unauthenticated",
    "Unavailable",
    "User",
    "ref",
]
