"""``/graphql/v1``: an operation becomes plans, plans become one statement, its rows the answer. pg_graphql's names."""
