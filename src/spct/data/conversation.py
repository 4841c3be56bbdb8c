"""Which conversation an item is of: its first user turn, written one way whatever its case, spacing and punctuation."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from spct.types import Message

WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """The words of a text after NFKC and case folding, without punctuation."""
    return WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def normalised(text: str) -> str:
    """The words joined by single spaces; a text without any word stands for itself."""
    return " ".join(words_of(text)) or text.strip()


def user_turns(messages: Iterable[Message]) -> list[str]:
    """What the user said, turn by turn; everything where there is no turn of the user's."""
    listed = list(messages)
    return [turn.content for turn in listed if turn.role == "user"] or [turn.content for turn in listed]


def conversation_hash(messages: Iterable[Message], topic: str | None = None) -> int:
    """64 bits that are the same for all items of one conversation."""
    return hash64(normalised(topic if topic is not None else user_turns(messages)[0]))


def hash64(text: str) -> int:
    """The same on every machine, unlike ``hash``."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
