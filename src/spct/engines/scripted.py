"""An engine that says what it is told: for tests, examples and rehearsing a run without a model.

A script is a function of the request and the sample's number, or a queue of answers taken in order. An answer is a
text, a whole ``Sample``, or an exception to raise. On the command line: ``--model scripted:file.py:function``.
Tokens are counted as words. It keeps to its own ``capabilities`` the way a real engine would: too many samples or too
long a prompt is refused.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from spct.engines.engine import (
    Capabilities,
    Sample,
    SampleBatch,
    SampleRequest,
    check_context,
    special_tokens_of,
    with_tokens,
)
from spct.errors import EngineError, InputError, RejectedError
from spct.loading import imported_own
from spct.types import Message, Usage

Answer = str | Sample | Exception
ScriptFunction = Callable[[SampleRequest, int], Answer | Awaitable[Answer]]
Script = ScriptFunction | Iterable[Answer]

DEFAULT_PRINCIPLES: Mapping[str, int] = {"Correctness": 60, "Clarity": 40}


def judgment_text(
    scores: Sequence[int], critique: str | Sequence[str] | None = None, principles: Mapping[str, int] | None = None
) -> str:
    r"""A well-formed judgment as a generative reward model writes it: criteria, analysis, ``\boxed{8, 7}``.

    ``scores`` are in shown order. ``critique`` is one text, or one per response; ``principles`` maps a name to its
    weight in percent. Both have a plausible default, so ``judgment_text([8, 7])`` is enough.
    """
    named = DEFAULT_PRINCIPLES if principles is None else principles
    criteria = [f"{i}. {name} (Weight: {weight}%)" for i, (name, weight) in enumerate(named.items(), 1)]
    if critique is None:
        critique = [f"meets the criteria to the degree of {score} out of 10." for score in scores]
    if not isinstance(critique, str):
        critique = "\n".join(f"- Response {i}: {text}" for i, text in enumerate(critique, 1))
    box = ", ".join(str(score) for score in scores)
    return "\n".join(["Specific Criteria:", *criteria, "", "Analysis:", critique, "", f"Scores: \\boxed{{{box}}}"])


class ScriptedEngine:
    """Answers by ``script``; ``requests`` lists what it was asked, in order of arrival.

    A function makes sample j of a request from ``(request, j)``, may be async, and is as deterministic as it is
    written: use ``request.seed + j``. A queue is shared by all requests, each taking its answers at once when it
    arrives; when it runs dry, EngineError. ``delay_s`` is slept once per request. ``capabilities`` defaults to seeded
    per sample for a function and unseeded for a queue; ``special_tokens`` are added to theirs.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self,
        script: Script,
        *,
        name: str = "scripted",
        delay_s: float = 0.0,
        capabilities: Capabilities | None = None,
        special_tokens: str | Sequence[str] = (),
    ) -> None:
        self.requests: list[SampleRequest] = []
        self._function = script if callable(script) else None
        self._queue: Iterator[Answer] = iter(()) if callable(script) else iter(script)
        self._taken = 0
        self._name = name
        self._delay_s = delay_s
        own = Capabilities(seeding="sample" if self._function else "none", continues=True)
        can = own if capabilities is None else capabilities
        self._named_tokens = special_tokens_of(special_tokens)
        self._capabilities = replace(can, special_tokens=(*can.special_tokens, *self._named_tokens))

    @property
    def model_id(self) -> str:
        return f"scripted:{self._name}"

    @property
    def configuration(self) -> Mapping[str, Any]:
        return with_tokens({"grammar": self._capabilities.grammar}, self._named_tokens)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        return sum(_words(message.content) for message in messages)

    async def sample(self, request: SampleRequest) -> SampleBatch:
        self.requests.append(request)
        prompt_tokens = sum(_words(message.content) for message in request.messages)
        self._refuse(request, prompt_tokens)
        queued = [] if self._function else [self._next() for _ in range(request.n)]
        if self._delay_s > 0:
            await asyncio.sleep(self._delay_s)
        samples = []
        for j in range(request.n):
            answer = await self._call(request, j) if self._function else queued[j]
            samples.append(_as_sample(answer, request.seed + j))
        completion_tokens = sum(sample.completion_tokens or 0 for sample in samples)
        return SampleBatch(tuple(samples), Usage(prompt_tokens, completion_tokens, requests=1))

    def _refuse(self, request: SampleRequest, prompt_tokens: int) -> None:
        check_context(prompt_tokens, request.max_tokens, self._capabilities.context_tokens)
        max_n = self._capabilities.max_n
        if max_n is not None and request.n > max_n:
            raise RejectedError(f"{request.n} samples asked for in one request, this engine gives at most {max_n}")

    def _next(self) -> Answer:
        try:
            answer = next(self._queue)
        except StopIteration:
            raise EngineError(
                f"the scripted engine {self._name!r} ran out of answers: its queue held {self._taken} "
                "and one more was asked for; lengthen the queue or use a function"
            ) from None
        self._taken += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _call(self, request: SampleRequest, j: int) -> Answer:
        assert self._function is not None
        answer = self._function(request, j)
        if inspect.isawaitable(answer):
            answer = await answer
        return answer


def load_scripted(name: str, *, delay_s: float = 0.0, special_tokens: str | Sequence[str] = ()) -> ScriptedEngine:
    """The scripted engine whose script is ``module:attribute`` or ``path/to/file.py:attribute``.

    The attribute is a function ``(request, j) -> answer`` or an iterable of answers. Raises InputError where it
    cannot be found, fails on import, or is neither.
    """
    script: Any = imported_own(name, f"scripted model {name!r}", "expected path/to/file.py:function or module:function")
    if callable(script):
        _check_signature(script, name)
    elif isinstance(script, str) or not isinstance(script, Iterable):
        raise InputError(
            f"scripted model {name!r}: {name.rpartition(':')[2]} is a {type(script).__name__}; "
            "expected a function (request, j) -> text, or a list of texts"
        )
    return ScriptedEngine(script, name=name, delay_s=delay_s, special_tokens=special_tokens)


def _words(text: str) -> int:
    return len(text.split())


def _as_sample(answer: Answer, seed: int) -> Sample:
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer, Sample):
        return replace(answer, seed=seed)
    if not isinstance(answer, str):
        raise EngineError(f"a script answered with a {type(answer).__name__}; expected a str, a Sample or an Exception")
    return Sample(answer, "stop", seed, completion_tokens=_words(answer))


def _check_signature(script: Callable[..., Any], name: str) -> None:
    try:
        inspect.signature(script).bind(None, 0)
    except TypeError as error:
        raise InputError(f"scripted model {name!r}: expected a function of (request, j): {error}") from error
