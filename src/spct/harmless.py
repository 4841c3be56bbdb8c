"""Text of any origin made fit to be printed.

What a model, a row or a server wrote is shown through ``line`` or ``lines``: nothing of it can move the cursor, change
a colour, turn the reading direction or end the line it stands on.
"""

from __future__ import annotations

import re
import unicodedata

_JOINERS = "\u200c\u200d"
_BREAKS = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_SUSPECT = re.compile(
    "[^ -~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u03ff\u0400-\u04ff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]"
)


def line(text: str) -> str:
    """``text`` on one line: line breaks and tabs become spaces, everything that a terminal obeys becomes visible."""
    return _visible(_BREAKS.sub(" ", text).replace("\t", " "))


def lines(text: str) -> list[str]:
    """The lines of ``text``, each as harmless as ``line`` makes it, tabs expanded."""
    return [_visible(part.expandtabs(4)) for part in _BREAKS.split(text)]


def _visible(text: str) -> str:
    return _SUSPECT.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    char = match.group()
    if unicodedata.category(char) not in ("Cc", "Cf", "Cs") or char in _JOINERS:
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
