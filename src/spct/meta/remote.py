"""A classifier behind HTTP as meta RM: ``/classify`` of vLLM (``vllm serve M --runner pooling --convert classify``).

One request per judgment, many in flight: the server batches, and renders the turns with its own chat template. Raw
logits are asked for (``use_activation`` false) and read as the local classifier's are. A server that sends
probabilities in spite of it ranks the same, since sigmoid and softmax of them keep the order; only the figures mean
less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spct.aio import gather_all
from spct.classifiers.http_model import HTTPModel, as_turns
from spct.classifiers.remote import RemoteClassifier, read_classes
from spct.errors import ContextLengthError, InputError
from spct.meta.meta import Case
from spct.meta.probability import rating_of
from spct.meta.prompt import load_prompt, named, prompt_row, turns_of
from spct.voting.ratings import Rating

KEY_VARIABLE = "SPCT_META_API_KEY"


class RemoteMeta(HTTPModel):
    """Rates by the classifier ``name`` of the server at ``base_url`` (with or without a final /v1).

    ``api_key`` defaults to SPCT_META_API_KEY; the judge's own key is never sent here. ``special_tokens`` are those of
    the served tokenizer, which a server does not tell: name them so that judgments cannot open turns of their own. Without,
    those of the formats in use are kept out (``control_tokens``). ``template`` is the prompt that it reads (a name or a
    path), by default the judge's own.
    """

    kind = RemoteClassifier.kind
    path = RemoteClassifier.path
    service = RemoteClassifier.service
    beside_v1 = RemoteClassifier.beside_v1
    key_variable = KEY_VARIABLE

    def __init__(
        self,
        name: str,
        *,
        template: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        concurrency: int = 64,
        timeout_s: float = 300.0,
        attempts: int = 6,
        backoff_s: float = 0.1,
        special_tokens: Sequence[str] = (),
    ) -> None:
        if not base_url:
            raise InputError(
                f"meta 'remote:{name}' names no server; give it one, as --meta-option base_url=http://127.0.0.1:8001"
            )
        self._prompt = load_prompt(template)
        super().__init__(name, base_url, api_key, concurrency, timeout_s, attempts, backoff_s, special_tokens)

    @property
    def model_id(self) -> str:
        return named(super().model_id, self._prompt)

    @property
    def special_tokens(self) -> tuple[str, ...]:
        return self._special_tokens

    @property
    def configuration(self) -> Mapping[str, Any]:
        return {**super().configuration, **({} if self._prompt is None else {"prompt": prompt_row(self._prompt)})}

    async def rate(self, cases: Sequence[Case]) -> list[Rating]:
        return await gather_all([self._rate(case) for case in cases])

    async def _rate(self, case: Case) -> Rating:
        turns = turns_of(case, self._prompt, self.special_tokens)
        try:
            logits, _ = await self._post({"messages": as_turns(turns), "use_activation": False}, read_classes)
        except ContextLengthError as error:
            return Rating(None, f"prompt and judgment are too long for the meta RM: {error}")
        return rating_of(logits)
