"""Ours beside a peer and beside the raw limits, one command: see README.md."""
