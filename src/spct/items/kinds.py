"""What a file is by its first bytes: compressed, a format that holds rows, or a kind of file that was named by mistake."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import zipfile
from collections.abc import Callable
from typing import BinaryIO, Literal, cast

from spct.errors import InputError

Format = Literal["jsonl", "json", "csv", "sheet", "parquet", "arrow"]
FORMATS: tuple[Format, ...] = ("jsonl", "json", "csv", "sheet", "parquet", "arrow")
LOOK = 512
"""Bytes that are looked at: a tar archive says what it is at byte 257."""

PARQUET, ZIP, OLE = b"PAR1", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ARROW = (b"ARROW1\x00\x00", b"\xff\xff\xff\xff")
"""How a file of Arrow begins (Feather, ``to_feather``), and a stream of it (a data set's ``.arrow`` files)."""

_UNPACK = "the file in it: unpack it first"
_TEXT = "a file of rows; save them as CSV, XLSX or JSONL"
WRONG: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, which only stands for the file", "the file: get it by git lfs pull"),
    (b"/annex/objects/", "a git-annex pointer, which only stands for the file", "the file: get it by git annex get"),
    (b"%PDF-", "a PDF", _TEXT),
    (b"{\\rtf", "a rich text document (RTF)", _TEXT),
    (b"SQLite format 3", "an SQLite database", "a file of rows; for a run see spct show, which takes its directory"),
    (b"7z\xbc\xaf'\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"\x89PNG", "a PNG image", _TEXT),
    (b"\xff\xd8\xff", "a JPEG image", _TEXT),
    (b"GIF8", "a GIF image", _TEXT),
    (b"\x7fELF", "a program", _TEXT),
    (b"GGUF", "the weights of a model (GGUF)", "a file of rows; a model is named by --model"),
    (b"\x93NUMPY", "a NumPy array", _TEXT),
    (b"\x89HDF", "an HDF5 file", _TEXT),
    (b"Obj\x01", "an Avro file", _TEXT),
    (b"ORC", "an ORC file", _TEXT),
    (b"\x80\x04\x95", "a Python pickle", _TEXT),
    (b"\x80\x05\x95", "a Python pickle", _TEXT),
)  # fmt: skip
"""How a wrong file begins, what it is, and what was expected."""


def _by_arrow(codec: str) -> Callable[[BinaryIO], BinaryIO]:
    def opened(stream: BinaryIO) -> BinaryIO:
        try:
            arrow = importlib.import_module("pyarrow")
        except ImportError as error:
            raise InputError(f"{codec} needs pyarrow: pip install 'spct[parquet]'") from error
        return cast(BinaryIO, io.BufferedReader(arrow.CompressedInputStream(stream, codec)))

    return opened


COMPRESSED: dict[bytes, Callable[[BinaryIO], BinaryIO]] = {
    b"\x1f\x8b": lambda stream: cast(BinaryIO, gzip.GzipFile(fileobj=stream)),
    b"BZh": lambda stream: cast(BinaryIO, bz2.BZ2File(stream)),
    b"\xfd7zXZ\x00": lambda stream: cast(BinaryIO, lzma.LZMAFile(stream)),  # noqa: SIM115 - closed with the stream under it
    b"\x28\xb5\x2f\xfd": _by_arrow("zstd"),
    b"\x04\x22\x4d\x18": _by_arrow("lz4"),
}
"""How compressed data begin, and what reads them."""


def binary_format(head: bytes, stream: BinaryIO, name: str) -> Format | None:
    """The format of a file that is not text, None for text. Raises InputError for a kind that holds no rows, naming it."""
    if head.startswith(PARQUET):
        return "parquet"
    if head.startswith(ARROW):
        return "arrow"
    if head.startswith(OLE):
        return "sheet"
    if head.startswith(ZIP):
        _check_sheet(stream, name)
        return "sheet"
    for start, kind, expected in WRONG:
        if head.startswith(start):
            raise InputError(f"{name}: got {kind}; expected {expected}")
    if head[257:262] == b"ustar":
        raise InputError(f"{name}: got a tar archive; expected {_UNPACK}")
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise InputError(
            f"{name}: got a web page; expected a file of rows: what should have been saved may have been answered by a "
            "page that asks to log in"
        )
    return None


def _check_sheet(stream: BinaryIO, name: str) -> None:
    """Raise InputError for a zip that is no workbook; leave the stream at its beginning."""
    if not stream.seekable():
        raise InputError(f"{name}: got a workbook or archive (zip) from a pipe; give the file's name")
    start = stream.tell()
    try:
        with zipfile.ZipFile(stream) as archive:
            names = archive.namelist()
            kind = archive.read("mimetype").decode(errors="replace") if "mimetype" in names else ""
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(f"{name}: got a damaged workbook or archive (zip): {error}") from error
    stream.seek(start)
    if any(part.startswith("xl/") for part in names) or "opendocument.spreadsheet" in kind:
        return
    if any(part.startswith("word/") for part in names) or "opendocument.text" in kind:
        raise InputError(f"{name}: got a text document; expected {_TEXT}")
    inside = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    raise InputError(f"{name}: got a zip archive of {inside or 'nothing'}; expected {_UNPACK}")
