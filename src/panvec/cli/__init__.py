"""The command line: parse, call, print."""

__all__ = ["main"]


def main() -> None:
    """Run the command line. What it imports, a server's processes for media, which import this module again, do not need."""
    from panvec.cli.app import main as run

    run()
