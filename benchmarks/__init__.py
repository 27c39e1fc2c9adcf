"""Benchmarks: one module per budget. Figures are ratios to a direct connection, medians of interleaved rounds.

    python -m benchmarks              everything, as ``make bench``
    python -m benchmarks.pgbench      many small queries
    python -m benchmarks.rows         one large result

Each prints its table and writes it into ``benchmarks/README.md``. Why ratios and CPU time: tps on a shared machine says
little about the next machine or the next minute; what a proxy burns per query and per row, and what it leaves of the
speed of a direct connection measured seconds before, do.
"""
