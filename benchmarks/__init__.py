"""Benchmarks: one module per question. Figures are ratios to a direct connection, medians of interleaved rounds.

    python -m benchmarks              everything, as ``make bench``
    python -m benchmarks.pgbench      many small queries; one client's latency
    python -m benchmarks.connect      a connection for each query
    python -m benchmarks.rows         one large result; masking in the engine instead
    python -m benchmarks.slow         the same for a client that reads slowly: memory
    python -m benchmarks.idle         sessions that do nothing: memory
    python -m benchmarks.novel        others, while one client sends statements never seen before
    python -m benchmarks.analysis     a statement until it has a plan
    python -m benchmarks.audit        statements that can be recorded in a second
    python -m benchmarks.breakdown    where the time of one query goes

Each prints its tables, writes them into ``benchmarks/README.md`` with the budgets they keep to or do not (``budgets``),
and draws a chart (``charts``). Why ratios and CPU time: tps on a shared machine says little about the next machine or
the next minute; what a proxy burns per query and per row, and what it leaves of the speed of a direct connection
measured seconds before, do.
"""
