"""Weights on disk: safetensors files, memory-mapped, with matrices in 4-bit blocks or 8-bit rows.

A tensor `w` is stored plain (float16, float32) or quantised as two tensors:

- `w.q4` uint8 `[rows, columns / 2]` and `w.scale` float32 `[rows, columns / 32]`: blocks of 32 values along a row,
  value = (nibble - 8) * scale, the low nibble first. This is the layout of ONNX Runtime's MatMulNBits, and the grid
  of GGML's Q4_0.
- `w.q8` int8 `[rows, ...]` and `w.scale` float32 `[rows]`: value = code * scale of its row.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panvec.errors import ModelError

BLOCK = 32
_DTYPES: dict[str, type[np.generic]] = {"F32": np.float32, "F16": np.float16, "U8": np.uint8, "I8": np.int8}
Tensors = dict[str, NDArray[Any]]


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file and the offset in bytes at which its data begins."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header: dict[str, Any] = json.loads(file.read(length))
    except (OSError, ValueError, struct.error) as error:
        raise ModelError(f"{path} is missing or no safetensors file ({error}): install panvec again") from error
    header.pop("__metadata__", None)
    return header, 8 + length


def read_tensors(path: Path) -> Tensors:
    """Every tensor of a safetensors file, memory-mapped and read-only."""
    header, start = read_header(path)
    data = np.asarray(np.memmap(path, np.uint8, mode="r", offset=start))
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = data[begin:end].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def unpack4(codes: NDArray[np.uint8], scales: NDArray[Any]) -> NDArray[np.float32]:
    """4-bit rows `[rows, columns / 2]` with scales `[rows, columns / 32]` as float32 `[rows, columns]`."""
    rows, half = codes.shape
    nibbles = np.empty((rows, half, 2), np.uint8)
    np.bitwise_and(codes, 15, out=nibbles[:, :, 0])
    np.right_shift(codes, 4, out=nibbles[:, :, 1])
    values = nibbles.reshape(rows, -1, BLOCK).astype(np.float32)
    values -= 8
    values *= scales.astype(np.float32)[:, :, None]
    return values.reshape(rows, half * 2)


def pack4(nibbles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Nibbles `[rows, columns]` (0..15) as bytes `[rows, columns / 2]`, the low nibble first."""
    return np.bitwise_or(nibbles[:, 0::2], np.left_shift(nibbles[:, 1::2], 4)).astype(np.uint8)


def quantize4(matrix: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The nearest 4-bit blocks of a matrix `[rows, columns]`, each block's scale chosen for the least squared error."""
    blocks = matrix.reshape(matrix.shape[0], -1, BLOCK)
    extreme = np.take_along_axis(blocks, np.abs(blocks).argmax(-1, keepdims=True), -1)[..., 0]
    best_scale = np.zeros_like(extreme)
    best_error = np.full_like(extreme, np.inf)
    for shrink in np.linspace(0.7, 1.05, 29, dtype=np.float32):
        scale = extreme * shrink / -8
        codes = _codes4(blocks, scale)
        error = ((codes * scale[..., None] - blocks) ** 2).sum(-1)
        better = error < best_error
        best_error[better], best_scale[better] = error[better], scale[better]
    nibbles = (_codes4(blocks, best_scale) + 8).astype(np.uint8)
    return pack4(nibbles.reshape(matrix.shape)), best_scale


def _codes4(blocks: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
    codes: NDArray[np.float32] = np.clip(np.rint(blocks * inverse[..., None]), -8, 7)
    return codes


def quantize8(tensor: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The nearest 8-bit rows of a tensor `[rows, ...]`, one scale a row."""
    flat = tensor.reshape(tensor.shape[0], -1)
    scale = np.maximum(np.abs(flat).max(1), 1e-12) / 127
    codes = np.rint(flat / scale[:, None]).astype(np.int8)
    return codes.reshape(tensor.shape), scale.astype(np.float32)


def dequantize(tensors: Mapping[str, NDArray[Any]]) -> Tensors:
    """The same tensors under their plain names, all float32."""
    plain: Tensors = {}
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        if kind == "q4":
            plain[stem] = unpack4(tensor, tensors[f"{stem}.scale"])
        elif kind == "q8":
            scale = tensors[f"{stem}.scale"].reshape(-1, *[1] * (tensor.ndim - 1))
            plain[stem] = tensor.astype(np.float32) * scale
        elif kind != "scale":
            plain[name] = tensor.astype(np.float32)
    return plain
