"""The control store: principals, tokens, grants; migrations; snapshots for the data plane.

    snapshot   what the data plane knows: frozen values         tables       the schema
    store      open_store (administration), watch (workers)     tokens       what a token looks like
    rows       rows of the tables as values                     migrations   Alembic, run when the store is opened

Why a snapshot: a login or a statement never waits for the store. Workers poll SQLite's ``data_version`` four times a
second and take a whole new snapshot when anything was committed, so a revocation acts within a quarter of a second.
"""
