import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panvec import ModelError
from panvec.models.nano.config import WEIGHTS
from panvec.models.nano.weights import BLOCK, pack4, quantize4, quantize8, read_tensors, unpack4


@given(rows=st.integers(1, 5), blocks=st.integers(1, 4), seed=st.integers(0, 99))
def test_four_bit_blocks_survive_packing(rows: int, blocks: int, seed: int) -> None:
    nibbles = np.random.default_rng(seed).integers(0, 16, (rows, blocks * BLOCK), np.uint8)
    scales = np.ones((rows, blocks), np.float32)
    np.testing.assert_array_equal(unpack4(pack4(nibbles), scales), nibbles.astype(np.float32) - 8)


def test_quantised_weights_are_near_and_a_grid_is_exact() -> None:
    matrix = np.random.default_rng(0).normal(size=(16, 4 * BLOCK)).astype(np.float32)
    near = unpack4(*quantize4(matrix))
    assert np.linalg.norm(near - matrix) / np.linalg.norm(matrix) < 0.11
    codes, scale = quantize8(matrix)
    assert np.abs(codes * scale[:, None] - matrix).max() <= scale.max() / 2 + 1e-6
    assert not unpack4(*quantize4(np.zeros((2, BLOCK), np.float32))).any()


def test_every_file_of_the_manifest_has_its_hash() -> None:
    manifest = json.loads((WEIGHTS / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        assert hashlib.sha256((WEIGHTS / name).read_bytes()).hexdigest() == entry["sha256"], name
    assert manifest["revision"] in manifest["space_id"]


def test_a_file_that_is_no_safetensors_says_so(tmp_path) -> None:
    broken = tmp_path / "x.safetensors"
    broken.write_bytes(b"\x00" * 5)
    with pytest.raises(ModelError, match=r"x\.safetensors"):
        read_tensors(broken)
