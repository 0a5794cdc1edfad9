"""Becomes another program: as another user, in a session of its own, ended when its parent ends.

Run as a script by ``processes.launch``, never imported. It is a program of its own since code between fork and exec of
a process with threads may do next to nothing, and since changing the user clears the death signal (prctl(2)).

Arguments: the parent's process id, the user and group id to become (-1: stay), the program, its arguments.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, user, group = (int(text) for text in sys.argv[1:4])
    if user != -1:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    os.umask(0o077)
    if sys.platform == "linux":
        # SIGINT is PostgreSQL's fast shutdown. Elsewhere a server that outlived us is ended at the next start.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the signal was asked for
            sys.exit(1)
    os.execv(sys.argv[4], sys.argv[4:])  # noqa: S606 - our own program and arguments


if __name__ == "__main__":
    main()
