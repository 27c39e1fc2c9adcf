"""What a statement reads: limits, lexing, classification, two parsers, name resolution and flows."""
