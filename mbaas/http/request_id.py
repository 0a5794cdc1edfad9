"""The name of a request, in answers, logs and errors."""

from __future__ import annotations

import random
import time

_last, _prefix, _count = -1, "", 0


def new_request_id() -> str:
    """A UUID version 7 (RFC 9562): sorts by time. Its random part only has to differ, not to be secret.

    Within a millisecond the random part is counted up (section 6.2, method 2).
    """
    global _last, _prefix, _count
    now = time.time_ns() // 1_000_000
    if now == _last:
        _count += 1
    else:
        time_hex, noise = f"{now:012x}", random.getrandbits(74)
        variant = 0x8000 | noise >> 48 & 0x3FFF
        _prefix = f"{time_hex[:8]}-{time_hex[8:]}-7{noise >> 62:03x}-{variant:x}-"
        _last, _count = now, noise & 0x7FFF_FFFF_FFFF  # room to count
    return f"{_prefix}{_count:012x}"
