"""Any OpenAI-compatible chat endpoint: hosted models, vLLM, SGLang, llama.cpp's server, Ollama.

Servers that speak this format differ in what they do with it, so what one can do is found out and not assumed; ``presets`` has
what is known of each kind beforehand, ``dialect`` what is learned:

* ``n``. The choices of a reply are counted. Fewer than asked for, or a 400 about ``n``: the engine remembers the
  largest n that works for such requests and asks for the rest in further ones, sample j under ``seed + j`` wherever it is
  asked for.
* Seeds. Some give all n choices one seed (``choices``).
* Parameters. Reasoning models refuse ``temperature``, ``max_tokens`` and others. What a server refuses by name is left
  out from then on and written down in ``notes``: a recorded protocol must not claim a temperature that had no effect.
* Grammars and JSON schemas. Where a server is known to take them, or ``grammar_style`` says so, ``start`` sees that they are
  followed; otherwise none is sent. Either way a note says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from spct.engines.engine import (
    Capabilities,
    SampleBatch,
    SampleRequest,
    Seeding,
    special_tokens_of,
    with_tokens,
)
from spct.engines.http import wire as http_wire
from spct.engines.http.address import check_headers, find_address, split_urls
from spct.engines.http.choices import Choices
from spct.engines.http.client import HTTPClient
from spct.engines.http.constraints import find_style
from spct.engines.http.dialect import Dialect, Params
from spct.engines.http.fleet import Server
from spct.engines.http.grammar import STYLES, GrammarStyle
from spct.engines.http.limits import Limits
from spct.engines.http.presets import DEFAULT_BASE_URL, PRESETS, UNKNOWN, preset_of
from spct.engines.http.probe import Facts, probe, together
from spct.engines.http.wire import Reply
from spct.errors import ContextLengthError, EngineAuthError, InputError, RequestError
from spct.logs import logger
from spct.types import Message, Usage

_log = logger(__name__)

CHARS_PER_TOKEN = 4
MOST_CHARS_PER_TOKEN = 12
LONG_CHARS = 4096
_ROWS = re.compile(r"(.)\1{3,}|\s+", re.DOTALL)
HARMLESS = SampleRequest((Message("user", "Name a colour."),), max_tokens=16)


class OpenAIEngine:
    """Samples from the model ``name`` of an OpenAI-compatible server, or of several that serve the same model.

    ``preset`` names a provider or a kind of server (``presets.PRESETS``), by which ``base_url`` and ``api_key`` have their
    defaults; a local server needs no key. ``base_url`` may be several, a list or with commas between them: they share the load.
    ``concurrency`` is the number of HTTP requests in flight, ``attempts`` the tries of each, ``timeout_s`` the time of
    one try, ``backoff_s`` the first wait between tries where the server names none. ``requests_per_minute`` and
    ``tokens_per_minute`` are kept by waiting; a request's tokens are taken to be its characters / 4 plus
    n x max_tokens until its usage is known. ``n_per_request`` bounds n (1: a request a sample). ``special_tokens`` are
    control tokens of the served tokenizer, which a server does not tell, beyond those that are known (``control_tokens``).
    ``params`` are fields that are added to every request, or left out of it where the value is None. ``headers`` are sent with
    every request and kept nowhere. ``grammar_style`` says which server's grammar field to use: "auto" by what the server is.

    Raises InputError for a base URL, key, header or field that cannot be used.
    """

    def __init__(
        self,
        name: str,
        *,
        preset: str = "openai",
        base_url: str | Sequence[str] | None = None,
        api_key: str | None = None,
        headers: Mapping[str, str] | Sequence[str] | None = None,
        params: Mapping[str, Any] | None = None,
        concurrency: int = 64,
        timeout_s: float = 300.0,
        attempts: int = 6,
        backoff_s: float = 0.1,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        context_tokens: int | None = None,
        n_per_request: int | None = None,
        grammar_style: GrammarStyle = "auto",
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
        if grammar_style not in ("auto", *STYLES):
            raise InputError(f"grammar_style {grammar_style!r}: expected one of auto, {', '.join(STYLES)}")
        if preset not in PRESETS:
            raise InputError(f"preset {preset!r}: expected one of {', '.join(PRESETS)}")
        known = PRESETS[preset]
        urls = split_urls(base_url) or split_urls((preset == "openai" and os.environ.get("OPENAI_BASE_URL")) or None)
        if not urls:
            if known.base_url is None:
                raise InputError(
                    f"{preset}:{name} names no server; give its address, as --base-url https://HOST/openai/v1"
                )
            urls = [known.base_url]
        sent = check_headers(headers)
        self._addresses = [
            find_address(name, url, api_key, known.key_variable, key_header=known.key_header, headers=sent)
            for url in urls
        ]
        if preset == "openai" and str(self._addresses[0].base).rstrip("/") != DEFAULT_BASE_URL:
            known = UNKNOWN  # any server that speaks the format
        self._address = self._addresses[0]
        self._preset = preset
        self._name = name
        self._concurrency = concurrency
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._limits = Limits(requests_per_minute, tokens_per_minute)
        self._params = Params.read(params)
        self._dialect = Dialect(name, known, self._params, n_per_request)
        self._grammar_style: GrammarStyle = grammar_style
        self._dialect.constrain(STYLES["none" if grammar_style == "auto" else grammar_style])
        self._special_tokens = special_tokens_of(special_tokens)
        self._context_tokens = context_tokens
        self._facts = Facts()
        self._logprobs = not self._dialect.lacks("logprobs", "top_logprobs")
        self._choices = Choices()
        self._client: HTTPClient | None = None
        self._starting = asyncio.Lock()
        self._asking_in = asyncio.Lock()

    def __repr__(self) -> str:
        return f"OpenAIEngine({self._name!r}, base_url={self.base_url!r})"

    @property
    def model_id(self) -> str:
        return f"{self._preset}:{self._address.endpoint.clean(self._name)}"

    @property
    def base_url(self) -> str:
        """Where requests go, without credentials; several with commas between them."""
        return ",".join(address.endpoint.shown for address in self._addresses)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found out about the server."""
        return self._dialect.notes

    @property
    def configuration(self) -> Mapping[str, Any]:
        """``software`` and ``served_model`` are what the server says of itself, None where it does not."""
        clean = self._address.endpoint.clean
        software, served = self._facts.software, self._facts.served_model
        found = {
            "server": self.base_url,
            "software": software and clean(software),
            "served_model": served and clean(served),
            "grammar": self._dialect.form.style.grammar,
            "json_schema": self._dialect.form.style.json_schema,
            "params": self._params.as_text(),
            "sampling": json.dumps(dict(self._dialect.sampling)) if self._dialect.sampling else None,
            "context_tokens": self._context_tokens,
        }
        return with_tokens(found, self._special_tokens)

    @property
    def capabilities(self) -> Capabilities:
        return _capabilities(
            self._dialect.max_n,
            self._seeding(),
            self._logprobs,
            self._dialect.form.style.grammar,
            self._dialect.form.style.json_schema,
            self._context_tokens,
            self._concurrency,
            self._special_tokens,
            self._dialect.preset.continuing is not None,
        )

    def _seeding(self) -> Seeding:
        if self._dialect.lacks("seed"):
            return "none"
        return "sample" if self._dialect.max_n == 1 or self._dialect.preset.seeds == "choice" else "request"

    async def start(self) -> None:
        """Open the connection pool, ask each server what it is, and try its grammar if one is to be used.

        Raises EngineUnreachableError if nobody answers, EngineAuthError for a wrong key, EngineError for a grammar style that a
        server does not follow.
        """
        async with self._starting:
            if self._client is not None:
                return
            client = HTTPClient(
                self._addresses,
                self._limits,
                concurrency=self._concurrency,
                timeout_s=self._timeout_s,
                attempts=self._attempts,
                first_backoff_s=self._backoff_s,
            )
            try:
                there = await self._meet(client)
                _log.info(
                    "%s at %s, which says it is %s", self.model_id, self.base_url, self._facts.software or "nothing"
                )
                style = await find_style(self._grammar_style, self._dialect, there, partial(self._ask, client))
                self._dialect.constrain(style)
            except BaseException:
                await client.close()
                raise
            self._client = client

    async def _meet(self, client: HTTPClient) -> list[Server]:
        """Learn what the servers say of themselves; those that are there."""
        found = list(zip(client.servers, await probe(client, self._attempts, self._backoff_s), strict=True))
        self._facts = together([facts for _, facts in found if facts is not None])
        for server, facts in found:
            if facts is None:
                shown = server.address.endpoint.shown
                self._dialect.note(f"{shown} was not there at the start: it is tried again, and unchecked until then")
        models = {facts.served_model for _, facts in found if facts is not None and facts.served_model}
        if len(models) > 1:
            shown = ", ".join(map(self._address.endpoint.clean, sorted(models)))
            self._dialect.note(f"the servers call what they serve differently ({shown}): see that it is one model")
        if self._dialect.preset is UNKNOWN:
            self._dialect.adopt(preset_of(self._facts.software))
        if self._dialect.preset.seeds is not None:
            self._choices.trust()
        self._context_tokens = self._context_tokens or self._facts.context_tokens
        if self._facts.max_n is not None:
            self._dialect.cap(self._facts.max_n, "the server has no more slots")
        self._dialect.say_left_out(("temperature", "top_p", "max_tokens", "seed"))
        for server in [server for server, facts in found if facts is not None and facts.locked]:
            with contextlib.suppress(RequestError):  # a wrong key is said now, and not after a run has been begun
                await self._ask(client, HARMLESS, server)
        return [server for server, facts in found if facts is not None]

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        """None: only the server knows."""
        return None

    async def sample(self, request: SampleRequest) -> SampleBatch:
        """Return exactly ``request.n`` samples, in as many requests as the server makes necessary."""
        if self._client is None:
            await self.start()
        assert self._client is not None
        most = self._dialect.limit(request)
        if most is not None and request.n > most:
            return await self._sample_all(_parts(request, 0, most))
        reply = await self._ask(self._client, request)
        if reply is None:
            return await self.sample(request)
        batch = SampleBatch(reply.samples, reply.usage)
        given = len(batch.samples)
        if given > 1 and request.temperature > 0 and self._choices.may_be_copies(batch.samples):
            batch = await self._separately(replace(request, n=given), batch)
            if self._choices.are_copies(batch.samples):
                self._dialect.cap(1, "the samples of one request were copies, those of separate requests differ")
        if given < request.n:
            self._dialect.learn_limit(request, given, "the server returned no more choices")
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

    async def _ask(self, client: HTTPClient, request: SampleRequest, server: Server | None = None) -> Reply | None:
        """One request, in the form that this server takes; None if it turns out to take a smaller n only."""
        prompt = "\n".join([turn.content for turn in request.messages])
        tokens = len(prompt) / CHARS_PER_TOKEN + request.n * request.max_tokens
        while True:
            body, echoed = self._dialect.body(request), self._dialect.echoed(request)
            read = partial(http_wire.read_reply, request=request, echoed=echoed)
            try:
                outcome = await client.post(http_wire.encode(body), tokens, read, prompt, server)
            except ContextLengthError as error:
                self._context_tokens = self._context_tokens or error.context_tokens
                raise
            if isinstance(outcome, Reply):
                self._account(request, prompt, outcome, tokens)
                return outcome
            if outcome.parameters == ("n",) and request.n > 1:
                self._dialect.learn_limit(request, _smaller(request.n, outcome.largest), outcome.message)
                return None
            if outcome.forbidden and request is not HARMLESS:
                outcome = replace(outcome, forbidden=not await self._is_let_in(client))
            if outcome.forbidden or not self._dialect.can_do_without(outcome, body):
                raise outcome.error()
            self._logprobs = self._logprobs and not self._dialect.lacks("logprobs", "top_logprobs")

    async def _is_let_in(self, client: HTTPClient) -> bool:
        """Whether the key is good: the server answers others, or a prompt that nothing can be held against."""
        async with self._asking_in:
            if not client.served:
                with contextlib.suppress(RequestError, EngineAuthError):
                    await self._ask(client, HARMLESS)
            return client.served > 0

    def _account(self, request: SampleRequest, prompt: str, reply: Reply, tokens: float) -> None:
        used = reply.usage.prompt_tokens
        self._limits.correct(used + reply.usage.completion_tokens - tokens)
        if reply.estimated:
            self._dialect.note("completion tokens are partly estimated: the server counts one choice of several")
        for end in reply.unknown_ends:
            self._dialect.note(
                f"the server ends completions with finish_reason {self._address.endpoint.clean(end)}, which does not say that "
                "they are whole: one with words after its scores is taken to be cut off"
            )
        if request.top_logprobs > 0 and not reply.logprobs and self._logprobs:
            self._logprobs = False
            self._dialect.note("log-probabilities were asked for, and the server gives none that fit the text")
        if used and len(prompt) > max(LONG_CHARS, used * MOST_CHARS_PER_TOKEN) and _is_cut(prompt, used):
            self._dialect.note(
                f"the server counts {used:,} tokens for a prompt of {len(prompt):,} characters: it seems to cut prompts, so "
                "judgments may rest on a part of them; serve the model with a longer context (Ollama: OLLAMA_CONTEXT_LENGTH)"
            )

    async def _separately(self, request: SampleRequest, batch: SampleBatch) -> SampleBatch:
        """The first sample of the batch, and the others asked for on their own."""
        rest = await self._sample_all(_parts(request, 1, 1))
        return SampleBatch(batch.samples[:1] + rest.samples, batch.usage + rest.usage)


@lru_cache(maxsize=64)
def _capabilities(
    max_n: int | None,
    seeding: Seeding,
    logprobs: bool,
    grammar: str | None,
    json_schema: str | None,
    context_tokens: int | None,
    concurrency: int,
    special_tokens: tuple[str, ...],
    continues: bool,
) -> Capabilities:
    """Kept, since a judge asks several times per request."""
    return Capabilities(
        max_n=max_n,
        seeding=seeding,
        logprobs=logprobs,
        grammar=grammar,
        json_schema=json_schema,
        continues=continues,
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


def _smaller(n: int, largest: int | None) -> int:
    """The n to try next: what the server says it takes, or half."""
    return largest if largest and largest < n else n // 2


def _require_positive(**options: float | None) -> None:
    for name, value in options.items():
        if value is not None and not value > 0:
            raise InputError(f"{name} is {value}: expected a number above 0")


def _is_cut(prompt: str, tokens: int) -> bool:
    """Whether so few tokens cannot hold the prompt, blanks and rows of one character aside."""
    return len(_ROWS.sub("", prompt)) > tokens * MOST_CHARS_PER_TOKEN
