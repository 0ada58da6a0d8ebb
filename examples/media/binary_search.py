"""Find a value in a sorted list in logarithmic time."""

from collections.abc import Sequence


def binary_search(values: Sequence[int], target: int) -> int | None:
    """Return the index of `target` in the sorted `values`, or None where it is absent."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if values[middle] < target:
            low = middle + 1
        else:
            high = middle
    if low < len(values) and values[low] == target:
        return low
    return None


if __name__ == "__main__":
    primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
    assert binary_search(primes, 13) == 5
    assert binary_search(primes, 4) is None
