"""Pair classifiers in this process: (query, a, b) in, one logit out, above 0 where a is better.

Two forms. A checkpoint of the architecture DebertaV2PairRM (PairRM, Jiang et al. 2023) is loaded with its own head and
reads ``<|source|>``, ``<|candidate1|>`` and ``<|candidate2|>`` segments. Any other sequence classifier reads one text,
put together by ``form``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spct.classifiers.classifier import Pair, Score
from spct.classifiers.forms import check_form, filled, query_text
from spct.classifiers.pairrm_model import CONTEXT_TOKENS, PairRM
from spct.classifiers.torch_model import Encoding, LoadedClassifier, TorchClassifier, TorchOptions
from spct.classifiers.torch_scorer import TorchScorer, encoded

PAIRRM = "DebertaV2PairRM"
SEGMENTS = ("<|source|>", "<|candidate1|>", "<|candidate2|>")
DEFAULT_FORM = "<|source|>{query}<|candidate1|>{first}<|candidate2|>{second}"


class PairClassifier(TorchScorer):
    """``name`` is a directory or a hub id.

    ``form`` is a text with ``{query}``, ``{first}`` and ``{second}`` in it, for classifiers other than PairRM itself.
    ``label`` names the output that is the logit where there are several. The others are ``TorchOptions``.
    """

    def __init__(
        self,
        name: str,
        *,
        form: str = DEFAULT_FORM,
        label: int | None = None,
        device: str | None = None,
        dtype: str = "auto",
        batch: int = 8,
        context_tokens: int | None = None,
        threads: int | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        form = check_form(form, (), ("{query}", "{first}", "{second}"))
        options = TorchOptions(device, dtype, batch, context_tokens, threads, trust_remote_code)
        torch = TorchClassifier(name, options, {PAIRRM: (PairRM, CONTEXT_TOKENS)})
        super().__init__(torch, form, label)

    async def compare(self, pairs: Sequence[Pair]) -> list[Score]:
        return await self._torch.run(lambda loaded: self._compare(loaded, pairs))

    def _compare(self, loaded: LoadedClassifier, pairs: Sequence[Pair]) -> list[Score]:
        own = isinstance(loaded.model, PairRM)
        texts = [
            segments(loaded.tokenizer, pair) if own else one_text(loaded.tokenizer, self._form, pair) for pair in pairs
        ]
        return self._scores(loaded, texts)


def one_text(tokenizer: Any, form: str, pair: Pair) -> Encoding:
    """``form`` with the query and both responses in it."""
    values = {"{query}": query_text(pair.query), "{first}": pair.first, "{second}": pair.second}
    return encoded(tokenizer, filled(form, values))


def segments(tokenizer: Any, pair: Pair) -> Encoding:
    """Each segment encoded on its own, with the tokenizer's begin and end around it, as PairRM was trained."""
    parts = zip(SEGMENTS, (query_text(pair.query), pair.first, pair.second), strict=True)
    return {"input_ids": [token for mark, text in parts for token in tokenizer.encode(mark + text)]}
