"""What the command ``mbaas`` calls."""

from __future__ import annotations

import gc


def main() -> None:
    gc.disable()  # nothing made while starting is garbage; the server switches it on when it is ready
    from mbaas_cli.main import app

    app()


if __name__ == "__main__":
    main()
