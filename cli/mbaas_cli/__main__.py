"""What the command ``mbaas`` calls."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    gc.disable()  # nothing made while starting is garbage; the server switches it on when it is ready
    if sys.argv[1:2] == ["serve"]:
        from mbaas_cli.serving import plainly, run

        start = plainly(sys.argv[2:])
        if start is not None:
            sys.exit(run(start))
    from mbaas_cli.main import app

    app()


if __name__ == "__main__":
    main()
