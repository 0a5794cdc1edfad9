"""The name of a request, in answers, logs and errors."""

from __future__ import annotations

import random
import time

_until, _prefix, _block = 0.0, "", -1
# What tells this process from others, and where it begins to count.
_tail = f"7{random.getrandbits(12):03x}-{0x8000 | random.getrandbits(14):04x}-"
_count = random.getrandbits(47)
_ENDS = [f"{number:03x}" for number in range(4096)]


def new_request_id() -> str:
    """A UUID version 7 (RFC 9562): sorts by time. Its random part only has to differ, not to be secret.

    It is chosen once a process and counted up, within a millisecond (section 6.2, method 2) and beyond. A clock that is
    set back is not followed (section 6.1).
    """
    global _until, _prefix, _block, _count
    _count = count = _count + 1
    now = time.time()
    if now >= _until or count >> 12 != _block:
        _until, _block = max(now, _until), count >> 12
        milliseconds = int(_until * 1000)
        _until = (milliseconds + 1) / 1000
        time_hex = f"{milliseconds:012x}"
        _prefix = f"{time_hex[:8]}-{time_hex[8:]}-{_tail}{_block:09x}"
    return _prefix + _ENDS[count & 4095]
