"""How much one request may ask for. What is beyond a limit is refused before anything is judged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spct.errors import InputError
from spct.service.options import JudgeOptions
from spct.turns import words_of
from spct.types import Item, Trajectory


@dataclass(frozen=True, slots=True)
class Limits:
    """``n`` responses a group, ``items`` groups a request, ``turns`` of a conversation, ``text_chars`` of one text.

    ``values`` is how many numbers, strings, lists and so on the JSON of a body may hold. ``k`` and ``max_tokens`` bound the
    options of a request, not the server's own settings. ``head_s`` and ``body_s`` are how long the two parts of a request
    may take to arrive, ``answer_s`` how long a client may take nothing of its answer. ``waiting_bytes`` bounds the bodies of
    all requests together that are read or wait for their answer.
    """

    head_bytes: int = 64 * 2**10
    head_s: float = 30.0
    body_bytes: int = 16 * 2**20
    body_s: float = 60.0
    answer_s: float = 60.0
    waiting_bytes: int = 2**30
    values: int = 100_000
    n: int = 128
    items: int = 256
    turns: int = 256
    text_chars: int = 200_000
    k: int = 64
    max_tokens: int = 8192

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not getattr(self, name) > 0:
                raise InputError(f"limit {name} is {getattr(self, name)}; expected more than 0")

    def check_items(self, items: Iterable[Item]) -> None:
        """Raise InputError for the first item that is too large, or for too many of them."""
        count = 0
        for count, item in enumerate(items, 1):
            _check("items", count, self.items)
            self.check_item(item)

    def check_item(self, item: Item) -> None:
        """Raise InputError if the item is too large."""
        _check("responses", len(item.responses), self.n)
        conversations = [item.messages, *[text.turns for text in item.responses if isinstance(text, Trajectory)]]
        _check("turns of the conversation", max(map(len, conversations)), self.turns)
        texts = [*item.responses, *[word for turn in item.messages for word in words_of(turn)]]
        longest = max(len(text) for text in [*texts, item.reference or "", item.principles or ""])
        _check("characters in one text", longest, self.text_chars)

    def check_options(self, options: JudgeOptions) -> None:
        """Raise InputError for more judgments or tokens than a request may ask for."""
        _check("judgments (k)", options.k or 0, self.k)
        _check("max_tokens", options.max_tokens or 0, self.max_tokens)


def _check(what: str, got: int, limit: int) -> None:
    if got > limit:
        raise InputError(f"got {got} {what}; this server takes at most {limit}")
