"""Any GGUF file in this process, through llama.cpp (``xllamacpp``): no server to start, no network, least memory.

Every sequence has a KV cache of its own, flash attention is off, and nothing of a prompt is kept for later requests. All of it is
deliberate: with one cache for all sequences, with llama.cpp's split flash attention, or where a prompt is processed from
where an earlier one differs, a logit depends on what else is, or was, computed, and a sampled text with it. As set here a
sample depends on its prompt and its seed alone, however samples are grouped and whatever else is in flight, and the n
samples of a request still process their prompt once. The price is memory, ``parallel * context_tokens`` cache entries (23 kB
each for a 135M model, 128 kB for an 8B one), and time for what prompts begin with alike; ``exact=False`` pays neither.

Text in a message that spells a control token (``<|im_end|>``) IS read as that token: llama.cpp parses the rendered chat
as a whole. ``Capabilities.special_tokens`` lists them, and templates keep them out of untrusted text.

llama.cpp opens a port on 127.0.0.1 for its token counter; it answers only to a key made for the occasion.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import secrets
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import orjson

from spct.engines.engine import (
    Capabilities,
    Sample,
    SampleBatch,
    SampleRequest,
    check_context,
    special_tokens_of,
    with_tokens,
)
from spct.errors import (
    ContextLengthError,
    EngineError,
    EngineMissingError,
    InputError,
    RejectedError,
    ReplyError,
    RequestError,
    WeightsError,
)
from spct.types import FinishReason, Message, TokenLogprob, Usage
from spct.weights import CATALOGUE, Lora, read_header, read_lora, resolve

T = TypeVar("T")
GRAMMAR = "gbnf"
_FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


class LlamaCppEngine:
    """Samples from a GGUF model in process; safe for many requests at once, which llama.cpp batches continuously.

    ``name`` is a catalogue name, ``hf:OWNER/REPO/FILE.gguf`` or a path; ``encoding`` (Q8_0, F16) re-encodes it, and a
    catalogue model is taken in the encoding that the catalogue prepares for it. ``threads`` defaults to the CPUs this
    process may use; take fewer where other work needs them too, as llama.cpp's threads wait for each other by
    spinning. ``context_tokens`` is what one sequence may have, prompt and completion, and no more than the model was
    trained on; ``parallel`` how many sequences run at once. A ``lora`` is the path of a GGUF adapter, ``PATH=0.5`` to
    scale it. ``verbosity`` is llama.cpp's own: -1 is silent but for faults in a grammar, 3 chatty, on stderr.
    ``special_tokens`` are kept out of untrusted text beside those of the model file.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        *,
        encoding: str | None = None,
        threads: int | None = None,
        context_tokens: int = 4096,
        parallel: int = 8,
        lora: Sequence[str] = (),
        gpu_layers: int = 0,
        exact: bool = True,
        verbosity: int = -1,
        special_tokens: str | Sequence[str] = (),
    ) -> None:
        for option, value in (("context_tokens", context_tokens), ("parallel", parallel), ("threads", threads or 1)):
            if value < 1:
                raise InputError(f"llamacpp: {option} is {value}; expected 1 or more")
        self._name = name
        known = CATALOGUE.get(name)
        self._encoding = encoding or (known.recode[0] if known and known.recode else None)
        self._threads = threads or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else [0, 1])
        self._context_tokens = context_tokens
        self._parallel = parallel
        self._loras = [Lora.parse(spec) for spec in lora]
        self._gpu_layers = gpu_layers
        self._exact = exact
        self._verbosity = verbosity
        self._named_tokens = special_tokens_of(special_tokens)
        self._special_tokens = self._named_tokens
        self._loaded: _Loaded | None = None
        self._starting = asyncio.Lock()

    @property
    def model_id(self) -> str:
        loras = "".join(f"+{lora}" for lora in self._loras)
        return f"llamacpp:{self._name}{loras}"

    @property
    def configuration(self) -> Mapping[str, Any]:
        found = {
            "xllamacpp": version("xllamacpp"),
            "grammar": GRAMMAR,
            "encoding": self._encoding,
            "threads": self._threads,
            "gpu_layers": self._gpu_layers,
            "exact": self._exact,
            "parallel": self._parallel,
            "context_tokens": self._context_tokens,
        }
        return with_tokens(found, self._named_tokens)

    @property
    def capabilities(self) -> Capabilities:
        """``context_tokens`` and ``special_tokens`` are the model's own once it is loaded."""
        repeats = self._exact and self._gpu_layers == 0  # independence of the batch was measured on CPU kernels only
        return Capabilities(
            seeding="sample" if repeats else "request",
            seed_alone=None if self._exact else False,
            logprobs=True,
            grammar=GRAMMAR,
            continues=True,
            shares_prefill=True,
            context_tokens=self._context_tokens,
            concurrency=self._parallel,
            special_tokens=self._special_tokens,
        )

    async def start(self) -> None:
        async with self._starting:
            if self._loaded is None:
                self._loaded = await asyncio.to_thread(self._load)

    async def sample(self, request: SampleRequest) -> SampleBatch:
        """The samples of one request. Cancelling it frees its sequences at the next token.

        ``completion_tokens`` counts the end-of-turn token. A character made of several tokens is one TokenLogprob with
        the log-probability of its last token, as llama.cpp reports it.
        """
        await self.start()
        stop = threading.Event()
        try:
            return await self._in_thread(lambda loaded: self._sample(loaded, request, stop))
        finally:
            stop.set()

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        await self.start()
        return await self._in_thread(lambda loaded: loaded.count_tokens(_chat(messages)))

    async def close(self) -> None:
        async with self._starting:
            if self._loaded is not None:
                loaded, self._loaded = self._loaded, None
                await asyncio.to_thread(loaded.close)

    async def _in_thread(self, work: Callable[[_Loaded], T]) -> T:
        if (loaded := self._loaded) is None:
            raise EngineError("llamacpp: the engine was closed while a request waited for it")
        return await asyncio.get_running_loop().run_in_executor(loaded.pool, work, loaded)

    def _load(self) -> _Loaded:
        try:
            xllamacpp = importlib.import_module("xllamacpp")
        except ImportError as error:
            raise EngineMissingError("the llamacpp engine needs xllamacpp: pip install 'spct[llamacpp]'") from error
        file = resolve(self._name, encoding=self._encoding)
        self._encoding = file.encoding
        header = read_header(file.path)
        for lora in self._loras:
            read_lora(lora.path, header)
        architecture = header.metadata.get("general.architecture")
        trained = header.metadata.get(f"{architecture}.context_length", self._context_tokens)
        self._context_tokens = min(self._context_tokens, trained)
        self._special_tokens = (*header.special_tokens, *self._named_tokens)
        key = secrets.token_hex()
        try:
            server = xllamacpp.Server(self._params(xllamacpp, file.path, key))
        except (RuntimeError, ValueError) as error:
            adapters = "".join(f" with {lora.path}" for lora in self._loras)
            raise WeightsError(
                f"llama.cpp cannot load {file.path}{adapters} (architecture {architecture}); "
                "set verbosity=3 to see why: too little memory, or an architecture or adapter it does not know"
            ) from error
        # twice the sequences: while some requests generate, as many more wait in llama.cpp's own queue
        return _Loaded(server, key, ThreadPoolExecutor(2 * self._parallel, thread_name_prefix="llamacpp"))

    def _params(self, xllamacpp: Any, path: Path, key: str) -> Any:
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_parallel = self._parallel
        params.n_ctx = self._parallel * self._context_tokens
        params.kv_unified = not self._exact
        if self._exact:
            params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.fit_params = False  # else it may choose another context length than the one asked for
        params.cache_ram_mib = 0  # if at all, prompts are kept in their slots; the second cache would take up to 8 GiB
        params.n_gpu_layers = self._gpu_layers
        params.cpuparams.n_threads = self._threads
        params.cpuparams_batch.n_threads = self._threads
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(lora.path), lora.scale) for lora in self._loras]
        params.api_keys = [key]
        params.n_threads_http = 2
        params.ui = False
        params.verbosity = self._verbosity
        return params

    def _sample(self, loaded: _Loaded, request: SampleRequest, stop: threading.Event) -> SampleBatch:
        prompt_tokens = loaded.count_tokens(_chat(request.messages))
        check_context(prompt_tokens, request.max_tokens, self._context_tokens)
        samples: list[Sample] = []
        usage = Usage()
        while len(samples) < request.n:
            n = min(self._parallel, request.n - len(samples))
            chunks = loaded.generate(_body(request, n, request.seed + len(samples), keep=not self._exact), stop)
            choices, cached = _read(chunks, n)
            samples += [choice.sample(request, request.seed + len(samples) + j) for j, choice in enumerate(choices)]
            usage += Usage(prompt_tokens, sum(choice.tokens for choice in choices), cached, 1)
        return SampleBatch(tuple(samples), usage)


class _Loaded:
    """A loaded model: llama.cpp's server object and the threads that wait for its answers."""

    def __init__(self, server: Any, key: str, pool: ThreadPoolExecutor) -> None:
        self.server = server
        self.pool = pool
        self._key = key
        self._closing = threading.Event()

    def generate(self, body: bytes, stop: threading.Event) -> list[bytes]:
        """The chunks of a streamed chat completion. Streaming is what makes a request one that can be stopped."""
        chunks: list[bytes] = []

        def take(chunk: bytes) -> bool:
            chunks.append(chunk)
            return stop.is_set() or self._closing.is_set()

        if not (stop.is_set() or self._closing.is_set()):
            try:
                self.server.handle_chat_completions(body, take)
            except ValueError as error:
                raise RejectedError(f"llama.cpp refuses the request: {error}") from error
            except RuntimeError as error:
                raise ReplyError(f"llama.cpp failed: {error}") from error
        if stop.is_set() or self._closing.is_set():
            raise RequestError("llamacpp: the request was stopped before it was done")
        return chunks

    def count_tokens(self, chat: list[dict[str, str]]) -> int:
        """Tokens of the rendered chat, from llama.cpp's counter."""
        request = urllib.request.Request(
            f"{self.server.listening_address}/chat/completions/input_tokens",
            data=_json({"messages": chat}),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"},
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(request, timeout=600) as reply:
                return int(orjson.loads(reply.read())["input_tokens"])
        except urllib.error.HTTPError as error:
            raise _error(orjson.loads(error.read())["error"]) from error
        except (OSError, orjson.JSONDecodeError, KeyError) as error:
            raise ReplyError(f"llama.cpp did not count the tokens of the prompt: {error}") from error

    def close(self) -> None:
        """Stop what is running, wait for it, free the model."""
        self._closing.set()
        self.pool.shutdown(wait=True, cancel_futures=True)
        self.server = None


@dataclass(slots=True)
class _Choice:
    """One choice of a streamed answer, as it fills up."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: str | None = None
    tokens: int = 0

    def add(self, choice: dict[str, Any]) -> None:
        delta = choice["delta"]
        self.reasoning.append(delta.get("reasoning_content") or "")
        if content := delta.get("content"):
            self.text.append(content)
            self.logprobs += [_token_logprob(t) for t in (choice.get("logprobs") or {}).get("content", [])]
        self.finish = choice["finish_reason"] or self.finish

    def sample(self, request: SampleRequest, seed: int) -> Sample:
        return Sample(
            text="".join(self.text),
            finish_reason=_FINISH.get(self.finish or "", "other"),
            seed=seed,
            reasoning="".join(self.reasoning) or None,
            completion_tokens=self.tokens,
            logprobs=tuple(self.logprobs) if request.top_logprobs else None,
        )


def _read(chunks: list[bytes], n: int) -> tuple[list[_Choice], int]:
    """The n choices of a streamed answer and the prompt tokens taken from the cache.

    The counts are those of each choice's last chunk: ``usage`` would speak of one choice only.
    """
    choices = [_Choice() for _ in range(n)]
    cached = 0
    for chunk in map(orjson.loads, chunks):
        if "error" in chunk:
            raise _error(chunk["error"])
        for choice in chunk["choices"]:
            choices[choice["index"]].add(choice)
            if timings := chunk.get("timings"):
                choices[choice["index"]].tokens = timings["predicted_n"]
                cached = timings["cache_n"]
    if any(choice.finish is None for choice in choices):
        raise ReplyError(f"llama.cpp finished {sum(c.finish is not None for c in choices)} of {n} samples")
    return choices, cached


def _body(request: SampleRequest, n: int, seed: int, *, keep: bool) -> bytes:
    """``keep`` has the prompt used again where a later one begins alike."""
    body: dict[str, Any] = {
        "messages": _chat(request.messages),
        "n": n,
        "seed": seed,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": 0,  # llama.cpp's own defaults (40, and min_p 0.05) would cut the distribution unasked
        "min_p": 0.0,
        "max_tokens": request.max_tokens,
        "cache_prompt": keep,
        "stream": True,
    }
    if request.grammar is not None:
        body["grammar"] = request.grammar
    if request.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    return _json(body)


def _json(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError as error:
        raise RejectedError(f"the prompt cannot be sent as JSON: {error}") from error


def _chat(messages: tuple[Message, ...]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _token_logprob(token: dict[str, Any]) -> TokenLogprob:
    top = tuple((other["token"], float(other["logprob"])) for other in token["top_logprobs"])
    return TokenLogprob(token["token"], float(token["logprob"]), top)


def _error(error: dict[str, Any]) -> RequestError:
    """llama.cpp's error object as one of ours: the only place where they are told apart."""
    message = f"llama.cpp: {error.get('message', error)}"
    if error.get("type") == "exceed_context_size_error":
        return ContextLengthError(message, error.get("n_prompt_tokens"), error.get("n_ctx"))
    if 400 <= error.get("code", 500) < 500:
        return RejectedError(message)
    return ReplyError(message)
