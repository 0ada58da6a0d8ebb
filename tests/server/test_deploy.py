"""What `deploy/` holds, read by the tools that know it: nothing is built or started."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"


def ended(*command):
    return subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True, timeout=60)


def test_the_dockerfile_passes_hadolint():
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip('hadolint is not installed: pip install "panvec[test]"')
    result = ended(hadolint, "--failure-threshold", "info", DEPLOY / "Dockerfile")
    assert result.returncode == 0, result.stdout


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "panvec.service"
    unit.write_text((DEPLOY / unit.name).read_text().replace("/opt/panvec/bin/panvec", sys.executable))
    result = ended("systemd-analyze", "verify", unit)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_unit_lets_the_server_finish_what_it_took():
    from panvec.server.run import DRAIN_SECONDS

    lines = (DEPLOY / "panvec.service").read_text().splitlines()
    (seconds,) = (int(line.partition("=")[2]) for line in lines if line.startswith("TimeoutStopSec="))
    assert seconds > DRAIN_SECONDS
