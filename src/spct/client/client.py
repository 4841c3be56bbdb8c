"""The typed client of ``spct serve``: every endpoint of ours, from asynchronous code and from plain code.

    with RewardClient("http://127.0.0.1:8000", key="...") as client:
        client.reward("Name a prime above 10.", ["12", "11"]).rewards

As with a GRM: the plain methods run on a loop of their own in a background thread, the ``a...`` methods on the caller's
loop; use one kind or the other per object.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from spct.aio import LoopThread
from spct.client.transport import Patience, Transport
from spct.client.values import (
    BatchResult,
    Group,
    GroupRewards,
    Query,
    Ready,
    RerankHit,
    RolloutReward,
    ServedVerdict,
    body_of,
    new_member,
    read_batch_result,
    read_group_rewards,
    read_ready,
    read_rerank,
    read_rollout_reward,
    read_scores,
    read_verdict,
    turns_of,
)
from spct.engines.http.address import find_address
from spct.errors import InputError

T = TypeVar("T")

KEY_VARIABLE = "SPCT_API_KEY"
NOT_NOW = ("BusyError", "DrainingError")
"""What a service says of a batch's item that it had to give up for reasons of its own."""


class RewardClient:
    """A reward service at ``base_url``, asked under ``key`` (or the environment's SPCT_API_KEY).

    ``timeout_s`` bounds one try and ``patience_s`` how long a call goes on trying after its first failure, a restart of
    the service included. Every method raises what the service names: BusyError, DeadlineError, RejectedError,
    EngineError, CohortError, ... of ``spct.errors``. ``options`` are the fields of ``serve.wire.parts.Options`` (k, seed, ...).
    """

    def __init__(
        self, base_url: str, key: str | None = None, *, timeout_s: float = 600.0, patience_s: float = 300.0
    ) -> None:
        if not base_url:
            raise InputError("the client has no base_url; expected one like http://127.0.0.1:8000")
        address = find_address("reward service", base_url, key, KEY_VARIABLE)
        self._transport = Transport(address, Patience(timeout_s, patience_s))
        self._thread = LoopThread()

    def __repr__(self) -> str:
        return f"RewardClient({self._transport.shown!r})"

    async def ajudge(
        self,
        query: Query,
        responses: Sequence[str],
        *,
        id: str | None = None,
        reference: str | None = None,
        principles: str | None = None,
        judgments: bool = True,
        deadline_s: float | None = None,
        **options: Any,
    ) -> ServedVerdict:
        """The verdict over the responses, judged jointly. Without a winner, ``verdict.error`` says why."""
        body = body_of(Group(query, _listed(responses), id, reference, principles))
        body |= {"options": options, "deadline_s": deadline_s, "judgments": judgments}
        return read_verdict(await self._transport.call("POST", "v1/judge", body))

    async def ajudge_batch(
        self, groups: Sequence[Group], *, judgments: bool = True, deadline_s: float | None = None, **options: Any
    ) -> AsyncIterator[BatchResult]:
        """Judge many groups in one request and yield each result as it finishes, in any order.

        A stream that is cut off is asked for again, with what is still missing.
        """
        body: dict[str, Any] = {"options": options, "deadline_s": deadline_s, "judgments": judgments, "stream": True}
        left = dict(enumerate(groups))
        asked: list[int] = []

        def missing() -> dict[str, Any] | None:
            asked[:] = left
            return body | {"items": [body_of(group) for group in left.values()]} if left else None

        async for line in self._transport.stream("v1/judge/batch", missing):
            if line.get("event") == "result":
                result = read_batch_result(line["result"])
                if result.error is not None and result.error.type in NOT_NOW:
                    continue  # it is still missing, and asked for again
                index = asked[result.index]
                del left[index]
                yield BatchResult(index, result.verdict, result.error)

    async def areward(
        self,
        query: Query,
        responses: Sequence[str],
        *,
        normalisation: str = "mean",
        reference: str | None = None,
        principles: str | None = None,
        deadline_s: float | None = None,
        **options: Any,
    ) -> GroupRewards:
        """One reward per response of a group. A group without a verdict is an error, never a reward."""
        body = body_of(Group(query, _listed(responses), None, reference, principles))
        body |= {"normalisation": normalisation, "options": options, "deadline_s": deadline_s}
        return read_group_rewards(await self._transport.call("POST", "v1/reward", body), len(responses))

    async def arollout_reward(
        self,
        query: Query,
        response: str,
        *,
        run: str = "",
        group: str | None = None,
        size: int | None = None,
        member: str | None = None,
        normalisation: str = "mean",
        reference: str | None = None,
        principles: str | None = None,
        deadline_s: float | None = None,
        hold_s: float | None = None,
    ) -> RolloutReward:
        """The reward of one rollout, judged with the others of its group when ``size`` of them are there.

        ``run`` keeps trainings apart; without ``group``, rollouts of one query and size are gathered. ``member`` names
        the rollout, so that asking again is no second member; one made here holds for the tries of this call. With
        ``hold_s`` no request stays open longer than that; the rollout is asked for again until its group is judged.
        """
        cohort = {"run": run, "id": group, "size": size, "member": member or new_member(response)}
        body: dict[str, Any] = {"query": turns_of(query), "response": response, "group": cohort}
        body |= {"reference": reference, "principles": principles, "normalisation": normalisation}
        body |= {"deadline_s": deadline_s, "hold_s": hold_s}
        return read_rollout_reward(await self._transport.call("POST", "v1/reward", body))

    async def arerank(self, query: str, documents: Sequence[str], *, top_n: int | None = None) -> tuple[RerankHit, ...]:
        """The documents best first, through the rerank endpoint that other clients use."""
        body = {"query": query, "documents": list(_listed(documents)), "top_n": top_n, "return_documents": False}
        return read_rerank(await self._transport.call("POST", "v1/rerank", body))

    async def ascore(self, query: str, responses: Sequence[str]) -> tuple[float, ...]:
        """A score on 0..1 per response, through the score endpoint that other clients use."""
        body = {"text_1": query, "text_2": list(_listed(responses))}
        return read_scores(await self._transport.call("POST", "v1/score", body), len(responses))

    async def ahealth(self) -> Ready:
        """What the service says of itself; waits for one that is not up yet, as long as patience lasts."""
        return read_ready(await self._transport.call("GET", "readyz"))

    async def aclose(self) -> None:
        await self._transport.close()

    def judge(self, query: Query, responses: Sequence[str], **given: Any) -> ServedVerdict:
        """Like ``ajudge``, from plain code."""
        return self.run(self.ajudge(query, responses, **given))

    def judge_batch(self, groups: Sequence[Group], **given: Any) -> Iterator[BatchResult]:
        """Like ``ajudge_batch``, from plain code."""
        results = self.ajudge_batch(groups, **given)
        try:
            while (result := self.run(_next(results))) is not None:
                yield result
        finally:
            self.run(_close(results))

    def reward(self, query: Query, responses: Sequence[str], **given: Any) -> GroupRewards:
        """Like ``areward``, from plain code."""
        return self.run(self.areward(query, responses, **given))

    def rollout_reward(self, query: Query, response: str, **given: Any) -> RolloutReward:
        """Like ``arollout_reward``, from plain code."""
        return self.run(self.arollout_reward(query, response, **given))

    def rerank(self, query: str, documents: Sequence[str], *, top_n: int | None = None) -> tuple[RerankHit, ...]:
        """Like ``arerank``, from plain code."""
        return self.run(self.arerank(query, documents, top_n=top_n))

    def score(self, query: str, responses: Sequence[str]) -> tuple[float, ...]:
        """Like ``ascore``, from plain code."""
        return self.run(self.ascore(query, responses))

    def health(self) -> Ready:
        """Like ``ahealth``, from plain code."""
        return self.run(self.ahealth())

    def close(self) -> None:
        """Close the connections; the object can be used again."""
        if self._thread.running:
            self.run(self.aclose())
            self._thread.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``, run on the loop of the plain methods: for code that calls the ``a...`` ones there."""
        return self._thread.run(work)


async def _next(results: AsyncIterator[BatchResult]) -> BatchResult | None:
    return await anext(results, None)


async def _close(results: AsyncIterator[BatchResult]) -> None:
    if hasattr(results, "aclose"):
        await results.aclose()


def _listed(responses: Sequence[str]) -> Sequence[str]:
    if isinstance(responses, str):
        raise InputError("responses is one string; expected a list with one string per response")
    return responses
