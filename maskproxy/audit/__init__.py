"""Records of what happened: their values, canonical bytes, files and framing. Knows no clock and no socket.

    literals   statement text without its literals          digests   keyed digests of texts and parameters
    moment     when: id, wall clock, monotonic clock        values    who, where, by which right, what, how it ended
    records    values -> canonical JSON, one function a type
    framing    records on the way to the recorder           files     records on disk

Why two records a statement: ``stmt.intent`` is durable before anything is released, so a statement without
``stmt.outcome`` is an interrupted one, never an unseen one.
"""
