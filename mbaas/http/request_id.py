"""The name of a request, in answers, logs and errors."""

from __future__ import annotations

import random
import time

_last, _prefix, _block = -1, "", -1
# What tells this process from others, and where it begins to count.
_tail = f"7{random.getrandbits(12):03x}-{0x8000 | random.getrandbits(14):04x}-"
_count = random.getrandbits(47)
_ENDS = [f"{number:03x}" for number in range(4096)]


def new_request_id() -> str:
    """A UUID version 7 (RFC 9562): sorts by time. Its random part only has to differ, not to be secret.

    It is chosen once a process and counted up, within a millisecond (section 6.2, method 2) and beyond.
    """
    global _last, _prefix, _block, _count
    now = time.time_ns() // 1_000_000
    _count += 1
    if now != _last or _count >> 12 != _block:
        time_hex = f"{now:012x}"
        _last, _block = now, _count >> 12
        _prefix = f"{time_hex[:8]}-{time_hex[8:]}-{_tail}{_block:09x}"
    return _prefix + _ENDS[_count & 4095]
