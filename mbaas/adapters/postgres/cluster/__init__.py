"""The files and processes of a PostgreSQL that we start ourselves."""
