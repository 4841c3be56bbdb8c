"""How a value that cannot be read is refused: where it stands, what was got, what was expected."""

from __future__ import annotations

from typing import NoReturn

from spct.errors import InputError


def refuse(where: str, got: str, expected: str) -> NoReturn:
    raise InputError(f"{where}: got {got}; expected {expected}")


def show(value: object) -> str:
    """A value for an error message: its type, and itself where short."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict) and value.keys() == {"bytes", "blake2b"}:
        return f"{value['bytes']} bytes that are no text"
    text = repr(value) if isinstance(value, (str, int, float)) else ""
    kinds: dict[type, str] = {str: "text", list: "a list", tuple: "a list", dict: "an object"}
    kind = kinds.get(type(value), type(value).__name__)
    return f"{kind} {text if len(text) <= 60 else text[:57] + '...'}".rstrip()


def text_of(value: object, where: str) -> str:
    """``value`` if it is text that can be stored and sent: a str that UTF-8 can encode."""
    if not isinstance(value, str):
        refuse(where, show(value), "text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            refuse(where, f"a lone surrogate \\u{ord(value[error.start]):x} at character {error.start}",
                   "text that UTF-8 can encode; the file was cut or escaped wrongly where it was written")  # fmt: skip
    return value
