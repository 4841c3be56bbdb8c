"""How many values a JSON text holds, counted while it arrives: before anything is made of it, and nearly for nothing.

A text of 10 MB may hold five million lists, for each of which a parser makes an object of some hundred bytes.
"""

from __future__ import annotations


class ValueCount:
    """``feed`` it the text in pieces, cut anywhere. ``values`` counts numbers, strings, lists, pairs of objects, ...

    Nothing is checked: of what is not JSON some number is counted.
    """

    def __init__(self) -> None:
        self.values = 0
        self._in_string = False
        self._cut = b""

    def feed(self, piece: bytes) -> None:
        """Count on."""
        piece = self._cut + piece if self._cut else piece
        self._cut = b""
        if b"\\" in piece:
            if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
                piece, self._cut = piece[:-1], b"\\"  # what it escapes is in the next piece
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = piece.split(b'"')  # by turns outside and inside of strings
        outside = b"".join(parts[self._in_string :: 2])
        self._in_string ^= len(parts) % 2 == 0
        # Each value but the first of all follows one of these, or a colon; an empty list or object counts for itself.
        self.values += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
