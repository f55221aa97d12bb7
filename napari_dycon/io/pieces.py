"""Compressed masks put together from pieces: one that changes in a few slices costs what these cost.

A piece is some slices along the last axis, deflated for itself. Deflated data that end with a full flush may
follow each other in one stream, so every program reads the file as it reads any other gzip file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import VolumeError

LEVEL = 3
HEAD = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
"""Of a gzip file: deflated, with neither name nor time."""

END = b"\x03\x00"
"""An empty last block of deflated data."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file that is deflated for itself.

    Attributes
    ----------
    deflated
        Ends with a full flush.
    size, checksum
        Bytes that it inflates to, and their CRC-32.
    """

    deflated: bytes
    size: int
    checksum: int

    @classmethod
    def of(cls, voxels: NDArray[np.uint8]) -> Piece:
        """Deflate slices ``(x, y, z)`` of a mask; equal ones of one value share their memory."""
        first = int(voxels.flat[0])
        if (voxels == first).all():
            return _constant(first, voxels.size)
        return cls.holding(voxels.tobytes(order="F"))

    @classmethod
    def holding(cls, content: bytes) -> Piece:
        """Deflate bytes.

        Raises
        ------
        VolumeError
            If they do not inflate again to what they were.
        """
        deflater = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        piece = cls(
            deflater.compress(content) + deflater.flush(zlib.Z_FULL_FLUSH), len(content), zlib.crc32(content)
        )
        if piece.inflate() != content:
            raise VolumeError("A mask did not survive its compression: the memory of this computer may fail.")
        return piece

    def inflate(self) -> bytes:
        """Return what it holds."""
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(self.deflated)


def join_pieces(pieces: Sequence[Piece]) -> bytes:
    """Put pieces together to the content of one gzip file."""
    checksum = 0
    for piece in pieces:
        checksum = _extend_checksum(checksum, piece)
    size = sum(piece.size for piece in pieces) & 0xFFFFFFFF
    return b"".join((HEAD, *(piece.deflated for piece in pieces), END, struct.pack("<II", checksum, size)))


@lru_cache(maxsize=16)
def _constant(value: int, size: int) -> Piece:
    return Piece.holding(bytes([value]) * size)


def _extend_checksum(checksum: int, piece: Piece) -> int:
    """Checksum of what had `checksum`, followed by a piece: CRC-32 is linear, so no byte is read again."""
    moved = 0
    for bit, column in enumerate(_shifted_bits(piece.size)):
        if checksum >> bit & 1:
            moved ^= column
    return moved ^ piece.checksum


@lru_cache(maxsize=16)
def _shifted_bits(size: int) -> tuple[int, ...]:
    """What each bit of a checksum becomes when `size` bytes follow."""
    zeros = bytes(size)
    return tuple(zlib.crc32(zeros, 1 << bit) ^ zlib.crc32(zeros) for bit in range(32))
