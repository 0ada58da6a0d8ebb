"""A line of a report."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Score:
    """A metric of a task on a data folder.

    Attributes:
        low, high: the 95 % bootstrap interval of `value` over queries.
        candidates: the most that a query was ranked against; of similarity, the pairs.
        failed: queries that count as misses because they, or every answer to them, could not be embedded.
        precision: of the vectors: float32, int8 or binary.
        items: of each query its value, where `value` is their mean; what a paired comparison needs.
    """

    data: str
    task: str
    metric: str
    value: float
    low: float
    high: float
    queries: int
    candidates: int
    dim: int
    failed: int
    precision: str = "float32"
    items: tuple[float, ...] = field(default=(), repr=False)
