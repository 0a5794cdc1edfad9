"""The name of a request, in answers, logs and errors."""

from __future__ import annotations

import random
import time

_last, _prefix = -1, ""
# What tells this process from others, and where it begins to count.
_tail = f"7{random.getrandbits(12):03x}-{0x8000 | random.getrandbits(14):04x}-"
_count = random.getrandbits(47)


def new_request_id() -> str:
    """A UUID version 7 (RFC 9562): sorts by time. Its random part only has to differ, not to be secret.

    It is chosen once a process and counted up, within a millisecond (section 6.2, method 2) and beyond.
    """
    global _last, _prefix, _count
    now = time.time_ns() // 1_000_000
    if now != _last:
        time_hex = f"{now:012x}"
        _last, _prefix = now, f"{time_hex[:8]}-{time_hex[8:]}-{_tail}"
    _count += 1
    return f"{_prefix}{_count:012x}"
