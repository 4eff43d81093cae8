"""The command line: the only place that prints."""

from vaebench.cli.main import main

__all__ = ["main"]
