"""What classifiers in this process share: one checkpoint, the form in which it is given text, the output that counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spct.classifiers.classifier import Score
from spct.classifiers.numbers import one_number, score_of
from spct.classifiers.torch_model import Encoding, LoadedClassifier, TorchClassifier
from spct.engines.engine import Capabilities


class TorchScorer:
    """``form`` says how text is put; ``label`` names the output that is the score where the head has several."""

    def __init__(self, torch: TorchClassifier, form: str, label: int | None) -> None:
        self._torch = torch
        self._form = form
        self._label = label

    @property
    def model_id(self) -> str:
        return f"classifier:{self._torch.name}"

    @property
    def protocol(self) -> Mapping[str, Any]:
        return {"form": self._form, "label": self._label}

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    @property
    def configuration(self) -> Mapping[str, Any]:
        return self._torch.configuration

    @property
    def capabilities(self) -> Capabilities:
        return self._torch.capabilities(tool_turns=self._form in ("auto", "chat"))

    async def start(self) -> None:
        await self._torch.start()

    async def close(self) -> None:
        await self._torch.close()

    def _scores(self, loaded: LoadedClassifier, texts: Sequence[Encoding]) -> list[Score]:
        """One score per text. Raises ContextLengthError if one is too long, EngineError if ``label`` fits no output."""
        rows = self._torch.outputs(loaded, texts)
        return [
            score_of(one_number(row, self._label, self._torch.name), len(text["input_ids"]))
            for row, text in zip(rows, texts, strict=True)
        ]


def encoded(tokenizer: Any, *texts: str) -> Encoding:
    """One text or a text pair, with the tokenizer's own begin and end."""
    found = tokenizer(*texts)
    return {name: list(found[name]) for name in ("input_ids", "token_type_ids") if name in found}
