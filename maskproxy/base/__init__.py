"""Words shared by every layer: errors, references, limits, secrets, the numbers of PostgreSQL's types."""
