"""Masks: named, type-preserving functions of one value. ``table.MASKS`` lists them; one family per file."""
