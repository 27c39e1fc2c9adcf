"""The process that owns the audit log: appends, fsyncs in groups, acknowledges by index."""
