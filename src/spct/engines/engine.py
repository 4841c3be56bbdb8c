"""The contract of an engine: chat messages in, samples out. An engine knows nothing about judging.

Failure rule: ``sample`` returns exactly ``request.n`` samples or raises one of the ``EngineError`` family; a
``RequestError`` concerns this request alone. Retrying, rate limits and fanning out are the engine's own affair.
To add one: write a module with a class that follows ``Engine``, and name it in ``spct.engines.ENGINES``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from spct.errors import ContextLengthError, InputError
from spct.types import FinishReason, Message, TokenLogprob, Usage

Seeding = Literal["sample", "request", "none"]
LONG_CHARS = 100_000


def is_long(messages: tuple[Message, ...]) -> bool:
    """Whether the tokens of a prompt take so long to make that it should be done aside from the loop."""
    return sum(len(message.content) for message in messages) > LONG_CHARS


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do, for the judge to plan by.

    ``max_n``: samples one request may ask for (None: any number). ``seeding``: "sample" if sample j of a request with
    seed s is the sample that a request of its own with seed s + j would give; "request" if it depends on the whole
    request; "none" if seeds have no effect. ``shares_prefill``: the n samples of a request process the prompt once.
    ``seed_alone``: whether a sample was measured on this processor to depend on its prompt, its settings and its seed
    alone, whatever is asked beside it, so that a run that is stopped and resumed ends as one that was not; False too
    where an engine is known not to keep to that, None where it was not checked. ``grammar``: how grammars are put into
    effect ("gbnf" in process, behind HTTP the request's field), None if they are not; ``json_schema`` says the same of JSON
    schemas. ``continues``: whether a prompt whose last message is the assistant's is gone on from there, the completion
    being what follows. ``tool_turns``: whether tools, calls and results are put as its own chat template puts them (scalar
    models). ``context_tokens``: prompt plus completion, None where unknown. ``images``: whether the images of a
    message are sent along with it. ``concurrency``: requests worth having in flight. ``special_tokens``: strings that the
    tokenizer would turn into control tokens, as far as the engine can tell, and those that its option of this name adds;
    templates keep them out of untrusted text.
    """

    max_n: int | None = None
    seeding: Seeding = "none"
    logprobs: bool = False
    grammar: str | None = None
    json_schema: str | None = None
    continues: bool = False
    tool_turns: bool = False
    shares_prefill: bool = False
    seed_alone: bool | None = None
    context_tokens: int | None = None
    images: bool = False
    concurrency: int = 8
    special_tokens: tuple[str, ...] = ()


def special_tokens_of(option: str | Sequence[str]) -> tuple[str, ...]:
    """What the option ``special_tokens``, which every engine takes, names: one token or several. Raises InputError."""
    tokens = (option,) if isinstance(option, str) else tuple(option) if isinstance(option, Sequence) else (option,)
    for token in tokens:
        if not isinstance(token, str) or not token.strip():
            raise InputError(
                f'special_tokens: got {token!r}; expected strings as the tokenizer writes them, like ["<|x|>"]'
            )
    return tokens


def with_tokens(configuration: Mapping[str, Any], tokens: Sequence[str]) -> Mapping[str, Any]:
    """An engine's ``configuration`` with the tokens that its option ``special_tokens`` named, if any."""
    return {**configuration, "special_tokens": " ".join(tokens)} if tokens else configuration


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """n samples of one prompt.

    ``temperature`` 0 is greedy. ``grammar`` is GBNF text with the rule ``root``, or None; ``json_schema`` is a schema of the
    whole completion as JSON text, or None. At most one of the two is given; an engine whose capabilities lack it ignores it.
    ``top_logprobs`` asks for that many alternatives per token; 0 asks for none.
    ``seed`` is that of the first sample; sample j has ``seed + j``.
    """

    messages: tuple[Message, ...]
    n: int = 1
    seed: int = 0
    temperature: float = 0.5
    top_p: float = 1.0
    max_tokens: int = 1024
    grammar: str | None = None
    json_schema: str | None = None
    top_logprobs: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion. ``reasoning`` is what a reasoning model returned apart from its answer.

    ``logprobs`` covers the tokens of ``text`` in order (their concatenation is ``text``) where it was asked for.
    ``completion_tokens`` is None where the server gives only a sum over the request.
    """

    text: str
    finish_reason: FinishReason
    seed: int
    reasoning: str | None = None
    completion_tokens: int | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """The samples of one request, in seed order, and what they cost together."""

    samples: tuple[Sample, ...]
    usage: Usage


def check_context(prompt_tokens: int, max_tokens: int, context_tokens: int | None) -> None:
    """Raises ContextLengthError if prompt and completion may not fit; ``context_tokens`` None means that nobody knows."""
    if context_tokens is not None and prompt_tokens + max_tokens > context_tokens:
        raise ContextLengthError(
            f"the prompt has {prompt_tokens} tokens and the completion may have {max_tokens}, together more than the "
            f"model's context of {context_tokens}; shorten the item, lower max_tokens, or raise context_tokens if the model "
            "allows it",
            prompt_tokens,
            context_tokens,
        )


def runs_of(ordinals: Sequence[int], max_n: int | None = None) -> list[list[int]]:
    """Rising ordinals cut into runs of consecutive ones, no longer than ``max_n``: a request's seeds are consecutive."""
    runs: list[list[int]] = []
    for ordinal in ordinals:
        if runs and runs[-1][-1] == ordinal - 1 and (max_n is None or len(runs[-1]) < max_n):
            runs[-1].append(ordinal)
        else:
            runs.append([ordinal])
    return runs


class Engine(Protocol):
    """Samples completions of chat prompts. Safe to call from many tasks of one event loop at once."""

    @property
    def model_id(self) -> str:
        """``kind:name`` as it is recorded in a run, without secrets."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What is known now; an engine that detects a server's abilities may answer differently later."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that whoever reads a run's results should know; may grow while it samples."""
        ...

    @property
    def configuration(self) -> Mapping[str, Any]:
        """What is in effect, as flat JSON values without a key or a login: kept with a run, complete once started.

        ``grammar`` as in the capabilities, the version of the package that samples under its name, ``server`` where one
        answers, and whatever else a reader needs to sample the same again.
        """
        ...

    async def start(self) -> None:
        """Load weights or open connections; idempotent. Raises EngineError or WeightsError."""
        ...

    async def sample(self, request: SampleRequest) -> SampleBatch:
        """Return exactly ``request.n`` samples."""
        ...

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        """Tokens of the rendered prompt, or None where only the server knows."""
        ...

    async def close(self) -> None:
        """Free everything; idempotent."""
        ...
