"""TRL: a reward function for ``GRPOTrainer`` (and its kin) that judges the completions of a prompt jointly.

    trainer = GRPOTrainer(model, reward_funcs=TRLReward("http://127.0.0.1:8000"), ...)

TRL calls it with a batch in which the completions of one prompt follow each other. Its ``None`` is "not applicable": a
row for which every reward function gives None is left out of its group's mean and gets no advantage. So a group without
a reward raises here, unless ``on_error="none"`` asks for those Nones; nothing else is ever put in a reward's place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from spct.adapters.source import RewardFrom, reward_source, rewards_each
from spct.adapters.texts import Query, column_of, grouped, key_of, query_of, response_of
from spct.aio import gather_all
from spct.client import GroupRewards, RewardSource
from spct.errors import DeadlineError, InputError, NoVerdictError, RequestError
from spct.items.values import as_reference, plain

OnError = Literal["raise", "none"]


class UnreadableError(InputError):
    """A prompt or a completion that cannot be judged, as one with audio cannot: its group has no reward."""


OF_ONE_GROUP = (RequestError, DeadlineError, NoVerdictError, UnreadableError)
"""What ``on_error="none"`` forgives: failures that concern one group. A wrong key or no server is raised all the same."""


class AsyncTRLReward:
    """The asynchronous form: TRL awaits it beside other asynchronous reward functions.

    ``judge`` is a GRM or the address of a reward service. ``normalisation`` is what a reward is (``service.rewards``); GRPO
    centres and scales in the group itself, so the default, the mean score, is as good as any there.
    ``num_generations`` keeps two groups of one prompt apart, should a batch hold them. ``reference``, ``principles`` and
    ``tools`` (definitions) name columns of the data set. ``criterion`` makes the reward what a completion has of that
    criterion of the judge's rubric, 0 to 1: TRL takes several reward functions, and a group is judged once for all of them.
    ``run`` names the training in the service's metrics and recording, where the trainer's step stands with it.
    ``response_of`` makes of a completion what is judged, by default all of its turns. It can be sent to another process and
    used after a fork, where ``judge`` is an address or a GRM that was made by a spec.
    """

    __name__ = "spct"  # the name under which TRL logs the reward

    def __init__(
        self,
        judge: RewardFrom,
        *,
        normalisation: str = "mean",
        num_generations: int | None = None,
        reference: str | None = None,
        principles: str | None = None,
        tools: str | None = None,
        criterion: str | None = None,
        run: str = "trl",
        on_error: OnError = "raise",
        response_of: Callable[[Any], str] = response_of,
        **source: Any,
    ) -> None:
        if on_error not in ("raise", "none"):
            raise InputError(f"on_error is {on_error!r}; expected raise or none")
        self.source: RewardSource = reward_source(judge, **source)
        self._normalisation, self._num_generations = normalisation, num_generations
        self._reference, self._principles, self._tools = reference, principles, tools
        self._criterion, self._run = criterion, run
        if criterion is not None:
            self.__name__ = f"spct_{criterion}"
        self._on_error, self._response_of = on_error, response_of

    async def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """One reward per completion, in their order. Raises SpctError."""
        n = len(prompts)
        references = [as_reference(value) for value in column_of(columns, self._reference, n)]
        principles, tools = column_of(columns, self._principles, n), column_of(columns, self._tools, n)
        shared = zip(prompts, references, principles, tools, strict=True)
        keys = (key_of(*map(plain, parts)) for parts in shared)
        groups = grouped(keys, self._num_generations)
        state = columns.get("trainer_state")
        told = {"run": self._run, "step": getattr(state, "global_step", None)}
        judged = await gather_all(
            [
                self._judge(
                    prompts[g[0]], tools[g[0]], [completions[i] for i in g], references[g[0]], principles[g[0]], told
                )
                for g in groups
            ]
        )
        _log(columns, [found for found in judged if found is not None])
        by_place: list[float | None] = [None] * n
        for group, found in zip(groups, judged, strict=True):
            for place, reward in zip(group, found[1] if found else [None] * len(group), strict=True):
                by_place[place] = reward
        return by_place

    async def _judge(
        self,
        prompt: Any,
        tools: Any,
        completions: Sequence[Any],
        reference: str | None,
        principles: str | None,
        told: Mapping[str, Any],
    ) -> tuple[GroupRewards, list[float]] | None:
        try:
            query, responses = _read(prompt, tools, completions, self._response_of)
            return await rewards_each(
                self.source,
                query,
                responses,
                self._normalisation,
                criterion=self._criterion,
                reference=reference,
                principles=principles,
                metadata=told,
            )
        except OF_ONE_GROUP:
            if self._on_error == "raise":
                raise
            return None


class TRLReward(AsyncTRLReward):
    """The plain form: TRL calls it and waits. The groups of a batch are judged side by side all the same."""

    def __call__(  # type: ignore[override]
        self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
    ) -> list[float | None]:
        return self.source.run(super().__call__(prompts, completions, **columns))

    def close(self) -> None:
        """Close the connections, or free the engine."""
        self.source.close()


def _read(
    prompt: Any, tools: Any, completions: Sequence[Any], response_of: Callable[[Any], str]
) -> tuple[Query, list[str]]:
    try:
        return query_of(prompt, tools), [response_of(completion) for completion in completions]
    except InputError as error:
        raise UnreadableError(str(error)) from error


def _log(columns: Mapping[str, Any], judged: Sequence[tuple[GroupRewards, list[float]]]) -> None:
    """Tell TRL, which passes ``log_metric``, how sound the rewards are: shares that should stay low."""
    log_metric = columns.get("log_metric")
    if log_metric is None or not judged:
        return
    sampled = sum(group.valid + group.invalid for group, _ in judged)
    log_metric("spct/invalid", sum(group.invalid for group, _ in judged) / max(1, sampled))
    log_metric("spct/all_equal", sum(len(set(rewards)) == 1 for _, rewards in judged) / len(judged))
