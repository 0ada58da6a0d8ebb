"""Short runs of what benchmarks/ runs for long: both protocols fuzzed, and many clients with a mix of requests."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("command", [["fuzz.py"], ["soak.py", "--growth", "0.3"]])
def test_twenty_seconds(command):
    started = [sys.executable, BENCHMARKS / command[0], *command[1:], "--seconds", "20"]
    ended = subprocess.run(started, check=False, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-2000:]
