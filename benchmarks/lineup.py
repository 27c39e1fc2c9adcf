"""Starts everything that is compared, and takes it down again."""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import report
from benchmarks.database import FEW_ROWS, database
from benchmarks.proxy import maskproxy
from benchmarks.targets import Pooling, Target, pgbouncer
from maskproxy import __version__
from tests.support.debian import Unavailable

DIRECT_SESSIONS = 200  # of the server, where they are shared


@contextmanager
def lineup(
    *, scopes: Mapping[str, str], sessions: int = 200, connections: int | None = None, rows: int = FEW_ROWS
) -> Iterator[tuple[Sequence[Target], Mapping[str, str]]]:
    """The targets, ``direct`` first, and the versions of what is measured. Without PgBouncer when it can't be had.

    ``scopes`` names the ways through maskproxy: the name of a target to the scope its statements run under. So many
    ``sessions`` fit through each target at a time. With ``connections`` they share so many, a transaction each; else
    each has its own. The large table has so many ``rows``.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="maskproxy-bench-")))
        most = sessions if connections is None else DIRECT_SESSIONS
        pooling = Pooling(sessions, connections)
        directory.chmod(0o755)  # under root, PgBouncer and PostgreSQL run as somebody else
        direct = stack.enter_context(database(directory / "postgres", sessions=most, rows=rows))
        targets = [direct]
        versions = {"PostgreSQL": direct.sql("SHOW server_version").split()[0]}
        try:
            target, versions["PgBouncer"] = stack.enter_context(pgbouncer(direct, directory, pooling))
            targets.append(target)
        except Unavailable as reason:
            print(f"without PgBouncer: {reason}", file=sys.stderr)
        targets += stack.enter_context(maskproxy(direct, directory / "maskproxy", scopes, pooling))
        versions["maskproxy"] = f"{__version__} ({report.commit()})"
        yield targets, versions
