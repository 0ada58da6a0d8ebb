"""How good an embedder is: `evaluate_local` scores any of them on folders of captioned, named and spoken media."""

from panvec.evaluation.local import Report, evaluate_local
from panvec.evaluation.score import Score

__all__ = ["Report", "Score", "evaluate_local"]
