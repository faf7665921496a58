"""Pictures that are broken, or ask for more memory than there is: one line, and no more memory."""

from __future__ import annotations

import resource
import struct
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.picture import LIMIT, read
from flows.errors import UserError

ROOM = 2**26  # bytes more than there are already


@contextmanager
def little_memory():
    """Meanwhile this process gets no more than a little besides what it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width, height):
    """All the rows that its header speaks of, of zeros, in a few thousand bytes."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(2**20)) for _ in range((width + 1) * height // 2**20 + 1))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows + packer.flush()) + chunk(b"IEND", b"")


def forged(kind):
    side = 40_000
    return {
        "png": lambda: png(side, 2 * LIMIT // side),
        "gif": lambda: gif(side),
        "bmp": lambda: b"BM" + struct.pack("<IIIIiiHH", 0, 0, 54, 40, side, side, 1, 24) + bytes(24),
        "tiff": lambda: tiff(side),
    }[kind]()


def gif(side):
    size = struct.pack("<HH", side, side)
    return b"GIF89a" + size + bytes(3) + b"," + bytes(4) + size + b"\0\x08\0;"


def tiff(side):
    tags = [(256, 4, side), (257, 4, side), (258, 3, 8), (262, 3, 1), (273, 4, 8), (277, 3, 1), (279, 4, 1)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("kind", ["png", "gif", "bmp", "tiff"])
def test_row_22_a_bomb_is_refused_in_one_line_with_little_memory(tmp_path, kind):
    path = tmp_path / f"bomb.{kind}"
    path.write_bytes(forged(kind))
    read_once(tmp_path)  # what Pillow loads the first time isn't the picture's
    with little_memory(), pytest.raises(UserError) as refusal:
        read(str(path), "image")
    assert f"more than {LIMIT:,} pixels" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_row_22_the_memory_is_little_indeed():
    with little_memory(), pytest.raises(MemoryError):
        np.ones(2 * LIMIT)


def read_once(folder):
    Image.new("L", (2, 2)).save(folder / "small.png")
    assert read(str(folder / "small.png"), "image").shape == (2, 2, 4)
