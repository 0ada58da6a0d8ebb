"""`panvec report`."""

from pathlib import Path
from typing import Annotated

import typer

from panvec.cli.inputs import say
from panvec.cli.outputs import check_out


def report(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Files that `panvec eval` wrote with --out.")],
    out: Annotated[Path, typer.Option(help="The .html file to write.")] = Path("report.html"),
) -> None:
    """Make one page of results, to open offline: tables, charts, and the worst misses with their media.

    Examples:

      panvec eval sample --out sample.json; panvec report sample.json --out report.html

      panvec report nano.json other.json ge2.json
    """
    from panvec.evaluation.page import build_page

    check_out(out, ".html")
    page = build_page(results)
    out.write_text(page, encoding="utf-8")
    say(f"wrote {out}, {len(page.encode()) / 1e6:.1f} MB")
