"""Any OpenAI-compatible chat endpoint: hosted models, vLLM, SGLang, llama.cpp's server, Ollama.

Servers that speak this format differ in what they do with it, so what one can do is found out and not assumed:

* ``n``. The choices of a reply are counted. Fewer than asked for, or a 400 about ``n``: the engine remembers the
  largest n that works and asks for the rest in further requests, sample j under ``seed + j`` wherever it is asked for.
* Seeds. llama.cpp and vLLM give choice j the seed ``seed + j``. SGLang copies one seed to all n, so that a vote would
  be one sample counted n times. Therefore, until a server has once returned choices that differ, a reply whose n
  sampled texts are all the same is checked: all but the first are asked for again one by one. If these differ, the
  server copies: they are used, and every later request is for one sample. If they too are the same, the model is that
  sure (or deterministic), and the samples stand; after ``MOST_CHECKS`` such checks the question is closed. A model
  that is sure by chance in n choices and not in n requests is taken for a copier: that costs shared prefill, never a
  vote.
* Parameters. Reasoning models refuse ``temperature``, ``max_tokens`` and others. What a server refuses by name is left
  out from then on and written down in ``notes``: a recorded protocol must not claim a temperature that had no effect.
* Grammars. None is sent unless ``grammar_style`` names the server's field, and then ``start`` sees that it is followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import orjson

from spct.engines.engine import (
    Capabilities,
    Sample,
    SampleBatch,
    SampleRequest,
    Seeding,
    special_tokens_of,
    with_tokens,
)
from spct.engines.http import grammar
from spct.engines.http import wire as http_wire
from spct.engines.http.address import find_address
from spct.engines.http.client import HTTPClient
from spct.engines.http.errors import Refusal
from spct.engines.http.grammar import GRAMMAR_FIELDS, GrammarStyle
from spct.engines.http.limits import Limits
from spct.engines.http.probe import Facts, probe
from spct.engines.http.wire import Reply
from spct.errors import ContextLengthError, InputError, RejectedError
from spct.types import Message, Usage

DROPPABLE = frozenset({"temperature", "top_p", "max_tokens", "seed", "logprobs", "top_logprobs"})
OWN_FIELDS = DROPPABLE | {"model", "messages", "n", "stream", "max_completion_tokens"}
SEEDS_EACH_CHOICE = ("llamacpp", "vllm")
MOST_CHECKS = 3
CHARS_PER_TOKEN = 4


class OpenAIEngine:
    """Samples from the model ``name`` of an OpenAI-compatible server.

    ``base_url`` and ``api_key`` default to OPENAI_BASE_URL and OPENAI_API_KEY; a local server needs no key.
    ``concurrency`` is the number of HTTP requests in flight, ``attempts`` the tries of each, ``timeout_s`` the time of
    one try, ``backoff_s`` the first wait between tries where the server names none. ``requests_per_minute`` and
    ``tokens_per_minute`` are kept by waiting; a request's tokens are taken to be its characters / 4 plus
    n x max_tokens until its usage is known. ``n_per_request`` bounds n (1: a request a sample). ``special_tokens`` are
    control tokens of the served tokenizer, which a server does not tell, beyond those that are known (``control_tokens``).
    ``extra_body`` is added to every request. ``grammar_style`` says which server's grammar field to use.

    Raises InputError for a base URL, key or body that cannot be used.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        concurrency: int = 64,
        timeout_s: float = 300.0,
        attempts: int = 6,
        backoff_s: float = 0.5,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        context_tokens: int | None = None,
        n_per_request: int | None = None,
        grammar_style: GrammarStyle = "none",
        extra_body: Mapping[str, Any] | None = None,
        special_tokens: str | Sequence[str] = (),
    ) -> None:
        _require_positive(
            concurrency=concurrency,
            timeout_s=timeout_s,
            attempts=attempts,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            context_tokens=context_tokens,
            n_per_request=n_per_request,
        )
        if grammar_style not in GRAMMAR_FIELDS:
            raise InputError(f"grammar_style {grammar_style!r}: expected one of {', '.join(GRAMMAR_FIELDS)}")
        self._address = find_address(name, base_url, api_key)
        self._name = name
        self._concurrency = concurrency
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._limits = Limits(requests_per_minute, tokens_per_minute)
        self._extra_body = _check_extra_body(extra_body)
        self._grammar_style = grammar_style
        self._special_tokens = special_tokens_of(special_tokens)
        self._context_tokens = context_tokens
        self._max_n = n_per_request
        self._facts = Facts()
        self._logprobs = True
        self._copies: bool | None = None
        self._checks = 0
        self._dropped: frozenset[str] = frozenset()
        self._notes: tuple[str, ...] = ()
        self._client: HTTPClient | None = None
        self._starting = asyncio.Lock()
        self._checking = asyncio.Lock()

    def __repr__(self) -> str:
        return f"OpenAIEngine({self._name!r}, base_url={self.base_url!r})"

    @property
    def model_id(self) -> str:
        return f"openai:{self._address.endpoint.clean(self._name)}"

    @property
    def base_url(self) -> str:
        """Where requests go, without credentials."""
        return self._address.endpoint.shown

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found out about the server."""
        return self._notes

    @property
    def configuration(self) -> Mapping[str, Any]:
        """``software`` and ``served_model`` are what the server says of itself, None where it does not."""
        clean = self._address.endpoint.clean
        software, served = self._facts.software, self._facts.served_model
        found = {
            "server": self.base_url,
            "software": software and clean(software),
            "served_model": served and clean(served),
            "grammar": self._grammar_field,
            "context_tokens": self._context_tokens,
        }
        return with_tokens(found, self._special_tokens)

    @property
    def capabilities(self) -> Capabilities:
        return _capabilities(
            self._max_n,
            self._seeding(),
            self._logprobs,
            self._grammar_field,
            self._context_tokens,
            self._concurrency,
            self._special_tokens,
        )

    @property
    def _grammar_field(self) -> str | None:
        return GRAMMAR_FIELDS[self._grammar_style]

    def _seeding(self) -> Seeding:
        if "seed" in self._dropped:
            return "none"
        return "sample" if self._max_n == 1 or self._facts.software in SEEDS_EACH_CHOICE else "request"

    async def start(self) -> None:
        """Open the connection pool, ask the server what it is, and try its grammar if one is to be used.

        Raises EngineUnreachableError if nobody answers, EngineAuthError for a wrong key, EngineError for a grammar style
        that this server does not follow.
        """
        async with self._starting:
            if self._client is not None:
                return
            client = HTTPClient(
                self._address,
                self._limits,
                concurrency=self._concurrency,
                timeout_s=self._timeout_s,
                attempts=self._attempts,
                first_backoff_s=self._backoff_s,
            )
            try:
                self._learn(await probe(client, self._address, self._attempts, self._backoff_s))
                await self._check_grammar(client)
            except BaseException:
                await client.close()
                raise
            self._client = client

    def _learn(self, facts: Facts) -> None:
        self._facts = facts
        if facts.software in SEEDS_EACH_CHOICE:
            self._copies = False
        self._context_tokens = self._context_tokens or facts.context_tokens
        if facts.max_n is not None:
            self._learn_max_n(facts.max_n, "the server has no more slots")

    async def _check_grammar(self, client: HTTPClient) -> None:
        if (field := self._grammar_field) is None:
            return
        try:
            reply = await self._ask(client, grammar.CHECK)
        except RejectedError as error:
            raise grammar.not_followed(
                self.base_url, self._grammar_style, f"refuses the field {field!r}: {error}"
            ) from error
        assert reply is not None  # one sample is never too many
        text, reasoning = reply.samples[0].text.strip(), reply.samples[0].reasoning
        if reasoning and not text:
            self._note(f"the grammar in the field {field!r} could not be tried: the model reasons at length first")
        elif text != grammar.ONLY_ANSWER:
            told = self._address.endpoint.clean(text[:80])
            found = (
                f"ignores the field {field!r}: its grammar allows {grammar.ONLY_ANSWER!r} alone, and {told!r} came back"
            )
            raise grammar.not_followed(self.base_url, self._grammar_style, found)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        """None: only the server knows."""
        return None

    async def sample(self, request: SampleRequest) -> SampleBatch:
        """Return exactly ``request.n`` samples, in as many requests as the server makes necessary."""
        if self._max_n is not None and request.n > self._max_n:
            return await self._sample_all(_parts(request, 0, self._max_n))
        reply = await self._ask(await self._started(), request)
        if reply is None:
            return await self.sample(request)
        batch = SampleBatch(reply.samples, reply.usage)
        given = len(batch.samples)
        if given > 1 and request.temperature > 0 and self._copies is not False:
            batch = await self._without_copies(replace(request, n=given), batch)
        if given < request.n:
            self._learn_max_n(given, "the server returned no more choices")
            batch = _joined([batch, await self._sample_all(_parts(request, given, given))])
        return batch

    async def _sample_all(self, requests: Sequence[SampleRequest]) -> SampleBatch:
        """Sample requests side by side; the first failure cancels the others."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self.sample(request)) for request in requests]
        except BaseExceptionGroup as failures:
            failure = failures.exceptions[0]
        else:
            return _joined([task.result() for task in tasks])
        raise failure

    async def _started(self) -> HTTPClient:
        if self._client is None:
            await self.start()
        assert self._client is not None
        return self._client

    async def _ask(self, client: HTTPClient, request: SampleRequest) -> Reply | None:
        """One request, in the form that this server takes; None if it turns out to take a smaller n only."""
        chars = sum(len(turn.content) for turn in request.messages)
        tokens = chars / CHARS_PER_TOKEN + request.n * request.max_tokens
        while True:
            body = http_wire.payload(self._name, request, self._grammar_style, self._dropped)
            body.update(self._extra_body)
            try:
                outcome = await client.post(
                    http_wire.encode(body), tokens, lambda raw: http_wire.read_reply(raw, request)
                )
            except ContextLengthError as error:
                self._context_tokens = self._context_tokens or error.context_tokens
                raise
            if isinstance(outcome, Reply):
                self._account(request, outcome, tokens)
                return outcome
            if outcome.parameter == "n" and request.n > 1:
                self._learn_max_n(_smaller(request.n, outcome.largest), outcome.message)
                return None
            if not self._can_do_without(outcome, body):
                raise outcome.error()

    def _account(self, request: SampleRequest, reply: Reply, tokens: float) -> None:
        self._limits.correct(reply.usage.prompt_tokens + reply.usage.completion_tokens - tokens)
        if reply.estimated:
            self._note("completion tokens are partly estimated: the server counts one choice of several")
        if request.top_logprobs > 0 and not reply.logprobs and self._logprobs:
            self._logprobs = False
            self._note("log-probabilities were asked for, and the server gives none that fit the text")

    def _learn_max_n(self, largest: int, why: str) -> None:
        if self._max_n is None or largest < self._max_n:
            self._max_n = largest
            self._note(f"at most {largest} sample{'s' if largest > 1 else ''} a request: {why}")

    def _can_do_without(self, refusal: Refusal, body: Mapping[str, Any]) -> bool:
        """Whether what was refused can be left out, now and from now on."""
        name = refusal.parameter
        if name not in DROPPABLE or name not in body:
            return False
        if name not in self._dropped:
            self._dropped |= {"logprobs", "top_logprobs"} if name in ("logprobs", "top_logprobs") else {name}
            instead = "sent as max_completion_tokens" if name == "max_tokens" else "not applied"
            self._note(f"{name} was {instead}: {refusal.message}")
        if "logprobs" in self._dropped:
            self._logprobs = False
        return True

    async def _without_copies(self, request: SampleRequest, batch: SampleBatch) -> SampleBatch:
        """The batch, or samples asked for one by one if the server gave copies (see the module's text)."""
        if not _identical(batch.samples):
            self._copies = False
            return batch
        async with self._checking:
            if self._copies is None:
                return await self._check(request, batch)
        return await self._separately(request, batch) if self._copies else batch

    async def _check(self, request: SampleRequest, batch: SampleBatch) -> SampleBatch:
        separate = await self._separately(request, batch)
        if not _identical(separate.samples):
            self._copies = True
            self._learn_max_n(1, "the samples of one request were copies, those of separate requests differ")
            return separate
        self._checks += 1
        if self._checks >= MOST_CHECKS:
            self._copies = False
        return separate

    async def _separately(self, request: SampleRequest, batch: SampleBatch) -> SampleBatch:
        """The first sample of the batch, and the others asked for on their own."""
        rest = await self._sample_all(_parts(request, 1, 1))
        return SampleBatch(batch.samples[:1] + rest.samples, batch.usage + rest.usage)

    def _note(self, sentence: str) -> None:
        if sentence not in self._notes:
            self._notes += (sentence,)


@lru_cache(maxsize=64)
def _capabilities(
    max_n: int | None,
    seeding: Seeding,
    logprobs: bool,
    grammar_field: str | None,
    context_tokens: int | None,
    concurrency: int,
    special_tokens: tuple[str, ...],
) -> Capabilities:
    """Kept, since a judge asks several times per request."""
    return Capabilities(
        max_n=max_n,
        seeding=seeding,
        logprobs=logprobs,
        grammar=grammar_field,
        shares_prefill=max_n != 1,
        context_tokens=context_tokens,
        images=True,
        concurrency=concurrency,
        special_tokens=special_tokens,
    )


def _parts(request: SampleRequest, start: int, size: int) -> list[SampleRequest]:
    """The samples ``start`` to n of a request as requests of at most ``size``, each under the seed of its first."""
    return [replace(request, n=min(size, request.n - j), seed=request.seed + j) for j in range(start, request.n, size)]


def _joined(batches: Sequence[SampleBatch]) -> SampleBatch:
    samples = tuple([sample for batch in batches for sample in batch.samples])
    return SampleBatch(samples, sum((batch.usage for batch in batches), Usage()))


def _identical(samples: tuple[Sample, ...]) -> bool:
    return len({(sample.text, sample.reasoning) for sample in samples}) == 1


def _smaller(n: int, largest: int | None) -> int:
    """The n to try next: what the server says it takes, or half."""
    return largest if largest and largest < n else n // 2


def _require_positive(**options: float | None) -> None:
    for name, value in options.items():
        if value is not None and not value > 0:
            raise InputError(f"{name} is {value}: expected a number above 0")


def _check_extra_body(extra: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy of ``extra``; raises InputError where it would speak for the settings that a run records."""
    if taken := OWN_FIELDS & (extra or {}).keys():
        raise InputError(f"extra_body sets {', '.join(sorted(taken))}: these have settings of their own")
    try:
        orjson.dumps(extra)
    except orjson.JSONEncodeError as error:
        raise InputError(f"extra_body cannot be written as JSON: {error}") from None
    return dict(extra or {})
