"""Scalar reward models in this process: Bradley-Terry heads, and any checkpoint that loads as a sequence classifier.

Skywork-Reward and its kin: one label, conversation put by the tokenizer's chat template. Encoders without a chat
template: query and response as a text pair. The score is the raw logit: no sigmoid, so that its range and averages stay
those of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spct.classifiers.classifier import Conversation, Score
from spct.classifiers.forms import as_text, check_form, query_text
from spct.classifiers.torch_model import Encoding, LoadedClassifier, TorchClassifier, TorchOptions, chat_ids
from spct.classifiers.torch_scorer import TorchScorer, encoded
from spct.errors import InputError


class LocalClassifier(TorchScorer):
    """``name`` is a directory or a hub id.

    ``form`` says how a conversation becomes text: "chat", the tokenizer's chat template; "pair", query and response as
    the tokenizer's text pair; a text with ``{query}`` and ``{response}`` in it; "auto", chat where there is a chat
    template, else pair. ``label`` names the output that is the score where the head has several. The others are
    ``TorchOptions``.
    """

    def __init__(
        self,
        name: str,
        *,
        form: str = "auto",
        label: int | None = None,
        device: str | None = None,
        dtype: str = "auto",
        batch: int = 8,
        context_tokens: int | None = None,
        threads: int | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        form = check_form(form, ("auto", "chat", "pair"), ("{response}",))
        options = TorchOptions(device, dtype, batch, context_tokens, threads, trust_remote_code)
        super().__init__(TorchClassifier(name, options), form, label)

    async def score(self, conversations: Sequence[Conversation]) -> list[Score]:
        return await self._torch.run(lambda loaded: self._score(loaded, conversations))

    def _score(self, loaded: LoadedClassifier, conversations: Sequence[Conversation]) -> list[Score]:
        texts = [self._encode(loaded.tokenizer, conversation) for conversation in conversations]
        return self._scores(loaded, texts)

    def _encode(self, tokenizer: Any, conversation: Conversation) -> Encoding:
        form = self._form
        if form == "auto":
            form = "chat" if tokenizer.chat_template else "pair"
        if form == "chat":
            return {"input_ids": self._chat(tokenizer, conversation)}
        if form == "pair":
            return encoded(tokenizer, query_text(conversation[:-1]), conversation[-1].content)
        return encoded(tokenizer, as_text(form, conversation))

    def _chat(self, tokenizer: Any, conversation: Conversation) -> list[int]:
        if not tokenizer.chat_template:
            raise InputError(
                f"{self._torch.name} has no chat template; give the form pair, or a text with {{response}}"
            )
        return chat_ids(tokenizer, conversation, self._torch.name)
