"""The encoding of a table's text: UTF-8 wherever all of it is; else one that is named, or found from its letters and told.

Text that is UTF-8 by chance alone is hardly ever anything else. What else it is cannot be known, only be made likely: so a
found encoding always comes with a line of the text, for a person to see whether its letters are right.
"""

from __future__ import annotations

import codecs
import importlib
from typing import BinaryIO

from spct.errors import InputError

CHUNK_BYTES = 1 << 20
LIKELY = [
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "cp932", "gb18030", "cp949", "big5", "euc_jp", "koi8_r",
    "mac_roman",
]  # fmt: skip
"""What spreadsheets write. The first, that of Western Windows, is taken where others read a text no better."""


def text_encoding(stream: BinaryIO, name: str, named: str | None) -> tuple[str, str]:
    """The encoding of the rest of ``stream``, which is read once and put back, and a note on how it was found ("" if sure).

    Raises InputError for an unknown name, for text that is not in the encoding named, and where none can be found.
    """
    if named is not None:
        try:
            codecs.lookup(named)
        except LookupError as error:
            raise InputError(
                f"encoding {named!r}: unknown; expected a name such as utf-8, cp1252, shift_jis"
            ) from error
    start = stream.tell()
    bad = _first_bad(stream, named or "utf-8")
    stream.seek(start)
    if bad is None:
        return named or "utf-8", ""
    if named is not None:
        raise InputError(f"{name}: byte {start + bad + 1} is not {named}; name another --encoding")
    stream.seek(start + max(0, bad - 512))
    sample = stream.read(CHUNK_BYTES)
    stream.seek(start)
    lines = [line for line in sample.splitlines() if not line.isascii()]
    found = _found(b"\n".join(lines), name, start + bad + 1)
    shown = lines[0].decode(found, errors="replace").strip()[:60]
    return (
        found,
        f"its text is not UTF-8 and was read as {found}: if the letters of {shown!r} are wrong, name another by --encoding",
    )


def _first_bad(stream: BinaryIO, encoding: str) -> int | None:
    """How many bytes in front of the first that is not of the encoding; None if there is none."""
    decoder, before = codecs.getincrementaldecoder(encoding)(), 0
    while True:
        chunk = stream.read(CHUNK_BYTES)
        held = len(decoder.getstate()[0])
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            return max(0, before - held + error.start)
        if not chunk:
            return None
        before += len(chunk)


def _found(sample: bytes, name: str, place: int) -> str:
    try:
        matches = importlib.import_module("charset_normalizer").from_bytes(sample, cp_isolation=LIKELY)
    except ImportError as error:
        raise InputError(
            f"{name}: byte {place} is not UTF-8; save it as UTF-8, name its --encoding (cp1252 for Western Windows), or "
            "pip install 'spct[sheets]' to have it found"
        ) from error
    best = matches.best()
    if best is None:
        raise InputError(f"{name}: byte {place} is not UTF-8, and no other encoding fits; name one by --encoding")
    good = [match for match in matches if match.chaos <= best.chaos and match.coherence >= best.coherence]
    as_good = [encoding for match in good for encoding in match.could_be_from_charset]
    return LIKELY[0] if LIKELY[0] in as_good else str(best.encoding)
