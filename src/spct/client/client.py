"""The typed client of ``spct serve``: every endpoint of ours, from asynchronous code and from plain code.

with RewardClient("http://127.0.0.1:8000", key="...") as client:
    client.reward("Name a prime above 10.", ["12", "11"]).rewards
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from functools import partial
from typing import Any

from spct.client.rewards import Query, RewardSource, request, response_rows, turns_of
from spct.client.transport import Patience, Transport
from spct.engines.http.address import find_address
from spct.errors import InputError, ReplyError
from spct.items.values import plain
from spct.wire import COHORT_HEADER
from spct.wire.asked import cohort_of
from spct.wire.judge import BatchEntry, BatchLine, BatchRequest, JudgeRequest, VerdictOut
from spct.wire.models import ModelOut, ModelsAnswer
from spct.wire.parts import GroupIn, In, Told
from spct.wire.probes import Ready
from spct.wire.rerank import RerankAnswer, RerankRequest, RerankResult
from spct.wire.reward import RewardRollout
from spct.wire.score import ScoreAnswer, ScoreTexts

KEY_VARIABLE = "SPCT_API_KEY"
NOT_NOW = ("BusyError", "DrainingError")
"""What a service says of a batch's item that it had to give up for reasons of its own."""


class RewardClient(RewardSource):
    """A reward service at ``base_url``, asked under ``key`` (or the environment's SPCT_API_KEY).

    ``timeout_s`` bounds one try: give it more than the service's ``--cohort-wait`` and ``--deadline`` together, or a rollout that
    waits for its group is asked again. ``patience_s`` is how long a call goes on trying after its first failure, a restart
    of the service included. ``judge_name`` is which judge of the service is asked, its default one if None. Every method raises
    what the service names: BusyError, DeadlineError, RejectedError, EngineError, CohortError, ... of ``spct.errors``. What comes
    back are the frozen models of ``spct.wire``; ``options`` are the fields of ``spct.wire.parts.Options`` (k, seed, ...).
    """

    def __init__(
        self,
        base_url: str,
        key: str | None = None,
        *,
        judge_name: str | None = None,
        timeout_s: float = 1800.0,
        patience_s: float = 300.0,
    ) -> None:
        super().__init__()
        self.judge_name = judge_name
        if not base_url:
            raise InputError("the client has no base_url; expected one like http://127.0.0.1:8000")
        address = find_address("reward service", base_url, key, KEY_VARIABLE)
        self._transport = Transport(address, Patience(timeout_s, patience_s))
        self._made = partial(
            RewardClient, base_url, key, judge_name=judge_name, timeout_s=timeout_s, patience_s=patience_s
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, in another process too, is a client of its own."""
        return self._made, ()

    def __repr__(self) -> str:
        return f"RewardClient({self._transport.shown!r})"

    async def ask(self, path: str, asked: In, kind: type[Told]) -> Told:
        headers = {COHORT_HEADER: cohort_of(asked)} if isinstance(asked, RewardRollout) else None
        return await self._transport.call("POST", path, kind, asked, headers)

    async def ajudge(
        self,
        query: Query,
        responses: Sequence[str],
        *,
        id: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        reference: str | None = None,
        principles: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        judgments: bool = True,
        deadline_s: float | None = None,
        **options: Any,
    ) -> VerdictOut:
        """The verdict over the responses, judged jointly. Without a winner, ``verdict.error`` says why."""
        asked = request(
            JudgeRequest,
            id=id,
            query=turns_of(query),
            responses=response_rows(responses),
            tools=plain(tools),
            reference=reference,
            principles=principles,
            metadata=metadata,
            judge=self.judge_name,
            judgments=judgments,
            deadline_s=deadline_s,
            options=options,
        )
        return await self.ask("v1/judge", asked, VerdictOut)

    async def ajudge_batch(
        self,
        groups: Sequence[GroupIn | Mapping[str, Any]],
        *,
        judgments: bool = True,
        deadline_s: float | None = None,
        **options: Any,
    ) -> AsyncGenerator[BatchEntry, None]:
        """Judge many groups in one request and yield each result as it finishes, in any order.

        A group is ``{"query": ..., "responses": [...]}``; it may have an ``id``, ``tools``, a ``reference`` and ``principles``
        too. A stream that is cut off is asked for again, with what is still missing.
        """
        left = dict(enumerate(map(_group, groups)))
        asked: list[int] = []

        def missing() -> BatchRequest | None:
            asked[:] = left
            if not left:
                return None
            items = list(left.values())
            given = {"judge": self.judge_name, "judgments": judgments, "deadline_s": deadline_s, "options": options}
            return request(BatchRequest, items=items, stream=True, **given)

        async for line in self._transport.stream("v1/judge/batch", BatchLine, missing):
            result = line.result
            if result is None or (result.error is not None and result.error.type in NOT_NOW):
                continue  # the stream's end; or what is still missing, and asked for again
            index = asked[result.index] if 0 <= result.index < len(asked) else None
            if index is None or left.pop(index, None) is None:
                raise ReplyError(f"the service sent a result for item {result.index}, which it was not asked for")
            yield result.model_copy(update={"index": index})

    async def arerank(
        self, query: str, documents: Sequence[str], *, top_n: int | None = None
    ) -> tuple[RerankResult, ...]:
        """The documents best first, through the rerank endpoint that other clients use."""
        asked = request(
            RerankRequest,
            model=self.judge_name,
            query=query,
            documents=response_rows(documents, "documents"),
            top_n=top_n,
            return_documents=False,
        )
        return (await self.ask("v1/rerank", asked, RerankAnswer)).results

    async def ascore(self, query: str, responses: Sequence[str]) -> tuple[float, ...]:
        """A score on 0..1 per response, through the score endpoint that other clients use."""
        texts = response_rows(responses)
        asked = request(ScoreTexts, model=self.judge_name, text_1=query, text_2=texts)
        told = await self.ask("v1/score", asked, ScoreAnswer)
        by_index = {entry.index: entry.score for entry in told.data}
        if by_index.keys() != set(range(len(texts))):
            raise ReplyError(f"the service sent scores for {sorted(by_index)} of {len(texts)} responses")
        return tuple(by_index[index] for index in range(len(texts)))

    async def ahealth(self) -> Ready:
        """What the service says of itself; waits for one that is not up yet, as long as patience lasts."""
        return await self._transport.call("GET", "readyz", Ready)

    async def amodels(self) -> tuple[ModelOut, ...]:
        """The judges of the service; the names are for ``judge_name``."""
        return (await self._transport.call("GET", "v1/models", ModelsAnswer)).data

    async def aclose(self) -> None:
        """Close the connections; the object can be used again."""
        await self._transport.close()

    def judge(self, query: Query, responses: Sequence[str], **given: Any) -> VerdictOut:
        """Like ``ajudge``, from plain code."""
        return self.run(self.ajudge(query, responses, **given))

    def judge_batch(
        self, groups: Sequence[GroupIn | Mapping[str, Any]], **given: Any
    ) -> Generator[BatchEntry, None, None]:
        """Like ``ajudge_batch``, from plain code."""
        return self.iterate(self.ajudge_batch(groups, **given))

    def rerank(self, query: str, documents: Sequence[str], *, top_n: int | None = None) -> tuple[RerankResult, ...]:
        """Like ``arerank``, from plain code."""
        return self.run(self.arerank(query, documents, top_n=top_n))

    def score(self, query: str, responses: Sequence[str]) -> tuple[float, ...]:
        """Like ``ascore``, from plain code."""
        return self.run(self.ascore(query, responses))

    def health(self) -> Ready:
        """Like ``ahealth``, from plain code."""
        return self.run(self.ahealth())

    def models(self) -> tuple[ModelOut, ...]:
        """Like ``amodels``, from plain code."""
        return self.run(self.amodels())


def _group(group: GroupIn | Mapping[str, Any]) -> GroupIn:
    if isinstance(group, GroupIn):
        return group
    fields = dict(group)
    if "query" in fields:
        fields["query"] = turns_of(fields["query"])
    if "responses" in fields:
        fields["responses"] = response_rows(fields["responses"])
    return request(GroupIn, **fields)
