"""The process that owns the audit log: ``log`` writes it, ``server`` collects records and answers the workers."""
