"""Those whom people sign in with: what is known of each, what they say of a person, and whether to believe it."""
