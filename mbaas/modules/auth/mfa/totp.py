"""Time-based one-time passwords (RFC 6238): SHA-1, six digits, thirty seconds, which every authenticator app knows."""

from __future__ import annotations

import base64
import hmac
import io
from datetime import datetime

import pyotp
import segno

PERIOD_S = 30
WINDOW = 1  # steps to both sides: clocks differ, and typing takes its time
SECRET_BYTES = 20  # RFC 4226 section 4 (R6)


def encode_secret(raw: bytes) -> str:
    """As apps take it: base32."""
    return base64.b32encode(raw).decode()


def provisioning_uri(secret: str, *, account: str, issuer: str) -> str:
    """What the QR code says (the key URI format of Google Authenticator)."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def qr_code(uri: str) -> str:
    """As bare SVG. It may stand in a data URL as it is: clients do not escape it, so it has no ``#``."""
    written = io.BytesIO()
    segno.make(uri, error="m", micro=False).save(
        written, kind="svg", xmldecl=False, scale=4, dark="black", light="white", svgclass=None, lineclass=None
    )
    return written.getvalue().decode().replace("#000", "black").replace("#fff", "white").strip()


def matching_step(secret: str, code: str, *, now: datetime, after: int | None) -> int | None:
    """The step a code is of, within the window. after: the latest step taken before; none up to it counts.

    Every step is computed and compared, whatever the code.
    """
    totp, found = pyotp.TOTP(secret), None
    current = int(now.timestamp()) // PERIOD_S
    for step in range(current - WINDOW, current + WINDOW + 1):
        same = hmac.compare_digest(totp.generate_otp(step).encode(), code.encode("utf-8", "surrogatepass"))
        if same and (after is None or step > after):
            found = step
    return found
