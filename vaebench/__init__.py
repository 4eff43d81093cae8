"""vaebench: every table of four papers on posterior collapse, reproduced."""

__version__ = "0.1.0"
