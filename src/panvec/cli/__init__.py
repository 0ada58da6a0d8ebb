"""The command line: parse, call, print."""

from panvec.cli.app import main

__all__ = ["main"]
