"""Messages to phones: one interface, a provider behind it."""
