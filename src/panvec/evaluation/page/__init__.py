"""One self-contained page about results: `build_page`."""

from panvec.evaluation.page.build import build_page

__all__ = ["build_page"]
