"""A prompt and its response that came as one text, all special tokens included, as OpenRLHF sends them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spct.errors import InputError

END_OF_RESPONSE = (
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<|return|>",
    "<end_of_turn>",
    "<eos>",
    "</s>",
    "<｜end▁of▁sentence｜>",
)
"""The tokens that end a response in common chat formats: no part of what the policy said."""


def response_in(query: str, prompt: str, end_of_response: Sequence[str] = END_OF_RESPONSE) -> str:
    """What follows ``prompt`` in ``query``, without the tokens that end it. Raises InputError."""
    if not query.startswith(prompt):
        raise InputError(
            "a query does not begin with its prompt: it was cut to fit, or decoded to other text; raise the trainer's "
            "maximum length"
        )
    ends = "|".join(re.escape(token[::-1]) for token in end_of_response if token)
    endings = re.match(f"(?:{ends})*+", query[: len(prompt) - 1 if prompt else None : -1]) if ends else None
    return query[len(prompt) : len(query) - (endings.end() if endings else 0)]
