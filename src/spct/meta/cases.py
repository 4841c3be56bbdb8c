"""Judgments as a meta RM reads them: the very prompt that was judged, and the judgment as its answer.

The prompt is rendered anew from the item, so it is the same when a run is rated as it goes and when it is rated later.
Rendering it for the meta RM's tokenizer, not the judge's, means that no response, and no judgment that quotes one, can
open a turn of its own; texts without control tokens come out as the judge saw them, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from spct.engines.asking import split_begun
from spct.items.copies import as_shown
from spct.meta.meta import Case
from spct.templates import Given, Template
from spct.templates.control_tokens import CONTROL_TOKENS, special_pattern
from spct.types import Item, Judgment, Message


def make_cases(
    item: Item,
    judgments: Iterable[Judgment],
    template: Template,
    given: Callable[[Item, Sequence[int]], Given] = lambda *_: {},
    *,
    special_tokens: Sequence[str] = (),
) -> list[Case]:
    """One case per judgment, in order. ``template`` is the one the item was judged by.

    ``given`` tells what its prompt was given, by the item and the order shown. The begin of the assistant's turn is left
    out of the prompt, since the judgment has it. Raises TemplateError if the item does not suit the template.
    """
    prompts: dict[tuple[bool, tuple[int, ...]], tuple[tuple[Message, ...], str | None]] = {}
    made = []
    for judgment in judgments:
        seen, texts = as_shown(item, judgment)
        asked = seen is item, texts.order
        if asked not in prompts:
            texts_given = given(seen, texts.order)
            messages = template.render(seen, texts.order, given=texts_given, special_tokens=special_tokens)
            prompts[asked] = split_begun(messages)[0], texts_given.get("principles")
        answer = without_control_tokens(judgment.text, special_tokens)
        made.append(Case(seen, texts, prompts[asked][0], answer, prompts[asked][1]))
    return made


def without_control_tokens(text: str, special_tokens: Sequence[str]) -> str:
    """``text`` with a dot put into every control token, so that it is read as ordinary text.

    Where no tokenizer is known, and ``special_tokens`` is therefore empty, those of the formats in use count.
    """
    pattern = special_pattern(tuple(special_tokens) or CONTROL_TOKENS)
    while pattern is not None and pattern.search(text):
        text = pattern.sub(lambda match: f"{match.group()[0]}·{match.group()[1:]}", text)
    return text
