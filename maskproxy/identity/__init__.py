"""Who is it, and under which grant: decisions over the store's snapshot. ``store.tokens`` says what a token is."""
