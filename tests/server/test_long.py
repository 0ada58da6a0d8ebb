"""Short runs of what benchmarks/ runs for long: both protocols fuzzed, and many clients with a mix of requests."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("command", [["fuzz.py"], ["soak.py", "--growth", "0.3"]])
def test_twenty_seconds(command, tmp_path):
    started = [sys.executable, BENCHMARKS / command[0], *command[1:], "--seconds", "20"]
    with (tmp_path / "log").open("w+") as log:  # no pipe: a server that outlives a timeout would hold it open
        ended = subprocess.run(started, check=False, stdout=log, stderr=subprocess.STDOUT, timeout=200)
    assert ended.returncode == 0, (tmp_path / "log").read_text()[-7000:]
