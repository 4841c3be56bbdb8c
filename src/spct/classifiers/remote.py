"""A classifier behind HTTP: ``/classify`` of vLLM (``vllm serve M --runner pooling --convert classify``).

Raw logits are asked for (``use_activation`` false). A server that sends probabilities in spite of it ranks the same;
its scores are then between 0 and 1, and their averages are those of probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from spct.classifiers.classifier import Conversation, Score
from spct.classifiers.forms import as_text, check_form
from spct.classifiers.http_model import as_turns
from spct.classifiers.http_scorer import HTTPScorer
from spct.classifiers.numbers import one_number, score_of
from spct.engines.http.errors import UnreadableReplyError
from spct.engines.http.wire import token_count


class RemoteClassifier(HTTPScorer):
    """The classifier ``name`` of the server at ``base_url`` (with or without a final /v1).

    ``form`` "chat" lets the server's chat template put the conversation; a text with ``{query}`` and ``{response}`` in
    it is sent as one text. ``label`` names the output that is the score where there are several.
    """

    kind = "remote"
    path = ("classify",)
    service = "classifier (/classify)"
    beside_v1 = True

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        form: str = "chat",
        label: int | None = None,
        concurrency: int = 64,
        timeout_s: float = 300.0,
        attempts: int = 6,
        backoff_s: float = 0.1,
        special_tokens: Sequence[str] = (),
    ) -> None:
        super().__init__(name, base_url, api_key, concurrency, timeout_s, attempts, backoff_s, special_tokens)
        self._form = check_form(form, ("chat",), ("{response}",))
        self._label = label

    @property
    def protocol(self) -> Mapping[str, Any]:
        return {"form": self._form, "label": self._label}

    async def _score(self, conversation: Conversation) -> Score:
        chat = self._form == "chat"
        text: dict[str, Any] = (
            {"messages": as_turns(conversation)} if chat else {"input": as_text(self._form, conversation)}
        )
        numbers, prompt_tokens = await self._post({**text, "use_activation": False}, read_classes)
        return score_of(one_number(numbers, self._label, self._name), prompt_tokens)


def read_classes(raw: bytes) -> tuple[list[float], int]:
    """The numbers of the one text that was sent, and its tokens.

    Raises UnreadableReplyError for a reply without them.
    """
    shown = raw[:400].decode(errors="replace")
    try:
        body: Any = orjson.loads(raw)
        (entry,) = body["data"]
        numbers = [float(value) for value in entry["probs"]]
    except orjson.JSONDecodeError as error:
        raise UnreadableReplyError(f"is not JSON ({error}): {shown!r}") from None
    except (KeyError, TypeError, ValueError):
        raise UnreadableReplyError(f"has no classes of one text (data[0].probs): {shown}") from None
    return numbers, token_count(body.get("usage"), "prompt_tokens")
