"""The running recorder."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recorder.support import RecorderProcess


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[RecorderProcess]:
    process = RecorderProcess(tmp_path)
    process.start()
    yield process
    process.stop(signal.SIGKILL)
