"""Everything that leaves: a row in the transaction of its cause, sent by workers on any node (docs/adr/0065)."""
