"""``python -m maskproxy``."""

from maskproxy.cli.main import app

app()
