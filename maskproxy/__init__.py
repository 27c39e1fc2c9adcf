"""maskproxy: a database proxy that lets AI agents query real data without seeing the sensitive values.

The map, high to low; a module imports only from lower rows (enforced by import-linter):

    cli        one file per command group; ``supervisor`` (processes), ``demo``
    control    FastAPI sidecar          proxy     the only asyncio code of the data path
    recorder   owns the audit log       session   sans-I/O join of core and wire: bytes in, bytes and actions out
    identity   who is it                audit     records of what happened
    store      principals, tokens, grants
    core       pure: SQL text + catalog + rules -> decision -> plan; masks
    wire       sans-I/O codecs and login machines of the database protocols
    base       errors, references, limits, secrets, type numbers

Data flows one way, through values that do not change:

    client bytes -> frontend codec -> statement -> analysis -> decision -> plan -> backend codec -> database
    client bytes <- frontend codec <- masked rows (kernel) <- rows <- backend codec <- database
"""

__version__ = "0.1.0"
