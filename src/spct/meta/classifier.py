"""A sequence classifier in this process as meta RM, through transformers and torch: CPU or CUDA.

Any checkpoint that AutoModelForSequenceClassification loads, the released DeepSeek-GRM meta RM among them. The judgment
is rendered with the tokenizer's own chat template, as the assistant's turn after the prompt (``prompt``). One label: the
rating is the sigmoid of its logit. Two labels: the softmax probability of label 1. Imported only when asked for: torch
is heavy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers.utils.hub import cached_file

from spct.classifiers.torch_model import LoadedClassifier, TorchClassifier, TorchOptions, chat_ids
from spct.engines.chat_tokenizer import ChatTokenizer
from spct.errors import EngineError, RejectedError, WeightsError
from spct.meta.meta import Case
from spct.meta.probability import rating_of
from spct.meta.prompt import FILE, kept_prompt, load_prompt, named, prompt_row, turns_of
from spct.voting.ratings import Rating

_QUIETLY: dict[str, Any] = {
    f"_raise_exceptions_for_{what}": False for what in ("gated_repo", "missing_entries", "connection_errors")
}
"""A model without a prompt of its own is the usual one."""


class ClassifierMeta:
    """``name`` is a directory or a hub id. ``template`` is the prompt that it reads (a name or a path) in place of the one
    kept in its folder, or without one of the judge's own. ``device`` defaults to CUDA where there is one, ``dtype`` to the
    checkpoint's.

    ``batch`` is the most judgments rated at once; cases of one call are batched by length. ``context_tokens``
    overrides the model's own limit: a longer judgment gets no rating and says so. Where the checkpoint names no
    padding token, an id that no text of the batch holds pads it, so padding is never taken for the end of a text.
    Ratings of one text in different batches may differ in the last digits.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        *,
        template: str | None = None,
        device: str | None = None,
        dtype: str = "auto",
        batch: int = 8,
        context_tokens: int | None = None,
        threads: int | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        self._told = self._prompt = load_prompt(template)
        options = TorchOptions(device, dtype, batch, context_tokens, threads, trust_remote_code)
        self._torch = TorchClassifier(name, options, check=self._check)

    @property
    def model_id(self) -> str:
        return named(f"classifier:{self._torch.name}", self._told)

    @property
    def special_tokens(self) -> tuple[str, ...]:
        return self._torch.capabilities().special_tokens

    @property
    def configuration(self) -> Mapping[str, Any]:
        return {**self._torch.configuration, **({} if self._prompt is None else {"prompt": prompt_row(self._prompt)})}

    async def start(self) -> None:
        await self._torch.start()

    async def rate(self, cases: Sequence[Case]) -> list[Rating]:
        return await self._torch.run(lambda loaded: self._rate(loaded, cases))

    async def close(self) -> None:
        await self._torch.close()

    def _check(self, loaded: LoadedClassifier) -> None:
        """Raises EngineError without a chat template, WeightsError if the head is not one that rates."""
        ChatTokenizer(loaded.tokenizer, self._torch.name)
        labels = int(loaded.model.config.num_labels)
        if labels not in (1, 2):
            raise WeightsError(
                f"{self._torch.name} has {labels} labels; expected 1 (a logit) or 2 (label 1 means correct)"
            )
        if self._told is None and (file := cached_file(self._torch.name, FILE, **_QUIETLY)) is not None:
            self._prompt = kept_prompt(Path(file))

    def _rate(self, loaded: LoadedClassifier, cases: Sequence[Case]) -> list[Rating]:
        texts = [self._encode(loaded, case) for case in cases]
        problems = [_too_long(len(ids), loaded.context_tokens) for ids in texts]
        fitting = [{"input_ids": ids} for ids, problem in zip(texts, problems, strict=True) if problem is None]
        rows = iter(self._torch.outputs(loaded, fitting))
        return [rating_of(next(rows)) if problem is None else Rating(None, problem) for problem in problems]

    def _encode(self, loaded: LoadedClassifier, case: Case) -> list[int]:
        try:
            turns = turns_of(case, self._prompt, loaded.special_tokens)
            return chat_ids(loaded.tokenizer, turns, self._torch.name)
        except RejectedError as error:  # all judgments have these roles, so rating as a whole cannot go on
            raise EngineError(str(error)) from error


def _too_long(tokens: int, context_tokens: int | None) -> str | None:
    if context_tokens is None or tokens <= context_tokens:
        return None
    return f"prompt and judgment have {tokens} tokens, the meta RM reads at most {context_tokens}"
