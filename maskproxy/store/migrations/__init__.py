"""Alembic's scripts. ``HEAD`` is the newest revision: a store that has it is opened without loading Alembic."""

HEAD = "0001"
