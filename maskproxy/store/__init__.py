"""The control store: principals, tokens, grants; migrations; snapshots for the data plane."""
