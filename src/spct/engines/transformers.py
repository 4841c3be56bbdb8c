"""A causal language model in this process, through transformers and torch: CPU or CUDA.

Requests wait in a queue; one worker thread takes as many as fill a batch and samples them together, whatever their
settings. Imported only when the engine is asked for: torch is heavy.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from spct.aio import aside
from spct.engines.engine import (
    Capabilities,
    SampleBatch,
    SampleRequest,
    check_context,
    is_long,
    special_tokens_of,
    with_tokens,
)
from spct.errors import EngineError, EngineMissingError, InputError, SpctError, WeightsError
from spct.types import Message, Usage

try:
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from spct.engines.chat_tokenizer import ChatTokenizer
    from spct.engines.torch_sampling import Generation, may_pad, sample_rows, torch_configuration
except ImportError as error:
    raise EngineMissingError(
        f"the transformers engine needs its packages ({error}): pip install 'spct[transformers]'"
    ) from error

CLOSED = "the transformers engine was closed before it answered"
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass(eq=False, slots=True)
class _Job:
    """A request on its way through the worker; ``dropped`` once nobody waits for it."""

    request: SampleRequest
    ids: list[int]
    done: Future[SampleBatch] = field(default_factory=Future)
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A causal model with its tokenizer and limits; ``eos`` are all tokens that end a turn."""

    model: Any
    tokenizer: ChatTokenizer
    eos: frozenset[int]
    context_tokens: int | None
    special_tokens: tuple[str, ...]
    may_pad: bool


class TransformersEngine:
    """``name`` is a hub id, a directory, a ``.gguf`` path, ``hf:OWNER/REPO/FILE.gguf`` or a name of the catalogue.

    ``device`` defaults to CUDA where there is one. ``dtype`` "auto" takes the checkpoint's (for a GGUF file float32,
    on CUDA bfloat16). ``batch`` is the most samples decoded at once: more is faster until memory ends.
    ``context_tokens`` lowers or raises the model's own limit. ``lora`` are directories of PEFT adapters, merged in
    order. ``threads`` sets torch's for the whole process. ``special_tokens`` are kept out of untrusted text beside those
    of the tokenizer.

    Sampling: temperature, then top_p; top-k and penalties of the model's own defaults are not applied. A sample
    depends on its own seed, and in rare cases on the rounding of batched arithmetic, which turns a draw: hence
    ``seed_alone`` is False. Log-probabilities are the model's before temperature.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        *,
        device: str | None = None,
        dtype: str = "auto",
        batch: int = 8,
        context_tokens: int | None = None,
        lora: Sequence[str] = (),
        threads: int | None = None,
        trust_remote_code: bool = False,
        special_tokens: str | Sequence[str] = (),
    ) -> None:
        if dtype not in DTYPES:
            raise InputError(f"dtype {dtype!r}: expected one of {', '.join(DTYPES)}")
        if batch < 1:
            raise InputError(f"batch {batch}: expected at least 1")
        self._name = name
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._dtype = dtype
        self._batch = batch
        self._context_tokens = context_tokens
        self._lora = (lora,) if isinstance(lora, str) else tuple(lora)
        self._threads = threads
        self._trust_remote_code = trust_remote_code
        self._named_tokens = special_tokens_of(special_tokens)
        self._loaded: LoadedModel | None = None
        self._loading = threading.Lock()
        self._jobs: deque[_Job] = deque()
        self._current: list[_Job] = []
        self._wake = threading.Condition()
        self._worker: threading.Thread | None = None

    @property
    def model_id(self) -> str:
        return f"transformers:{self._name}"

    @property
    def configuration(self) -> Mapping[str, Any]:
        found = {
            **torch_configuration(self._loaded and self._loaded.model, self._device),
            "grammar": None,
            "lora": ", ".join(self._lora) or None,
            "batch": self._batch,
            "context_tokens": self.capabilities.context_tokens,
        }
        return with_tokens(found, self._named_tokens)

    @property
    def capabilities(self) -> Capabilities:
        loaded = self._loaded
        return Capabilities(
            seeding="sample",
            seed_alone=False,
            logprobs=True,
            continues=True,
            shares_prefill=True,
            context_tokens=loaded.context_tokens if loaded else self._context_tokens,
            concurrency=max(8, 2 * self._batch),  # requests of one sample fill a batch, and another waits behind it
            special_tokens=(loaded.special_tokens if loaded else ()) + self._named_tokens,
        )

    async def start(self) -> None:
        await asyncio.to_thread(self._ready)

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        loaded = await self._started()
        return len(await aside(partial(loaded.tokenizer.encode, messages), is_long(messages)))

    async def sample(self, request: SampleRequest) -> SampleBatch:
        loaded = await self._started()
        encode = partial(loaded.tokenizer.encode, request.messages)
        job = _Job(request, await aside(encode, is_long(request.messages)))
        check_context(len(job.ids), request.max_tokens, loaded.context_tokens)
        with self._wake:
            if self._worker is None:
                raise EngineError(CLOSED)
            self._jobs.append(job)
            self._wake.notify()
        try:
            return await asyncio.wrap_future(job.done)
        except asyncio.CancelledError:
            job.dropped = True
            raise

    async def close(self) -> None:
        with self._wake:
            worker, self._worker = self._worker, None
            for job in (*self._current, *self._jobs):
                job.dropped = True
            self._wake.notify()
        if worker is not None:
            await asyncio.to_thread(worker.join)
        with self._loading:
            self._loaded = None
        if self._device.startswith("cuda"):
            torch.cuda.empty_cache()

    async def _started(self) -> LoadedModel:
        loaded = self._loaded
        return await asyncio.to_thread(self._ready) if loaded is None else loaded

    def _ready(self) -> LoadedModel:
        with self._loading:
            loaded = self._loaded or self._load()
            self._loaded = loaded
            with self._wake:
                if self._worker is None:
                    self._worker = threading.Thread(target=self._work, args=(loaded,), daemon=True)
                    self._worker.start()
            return loaded

    def _load(self) -> LoadedModel:
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        source, options = _source(self._name)
        options["trust_remote_code"] = self._trust_remote_code
        with _quiet(), _explained(self._name):
            tokenizer = ChatTokenizer(AutoTokenizer.from_pretrained(source, **options), self._name)
            if "gguf_file" in options:
                options["quantization_config"] = GgufConfig(dequantize=True)  # or its weights stay packed, and slow
            model: Any = AutoModelForCausalLM.from_pretrained(source, dtype=self._torch_dtype(options), **options)
            model = _with_adapters(model, self._lora).to(self._device).eval()
        return as_loaded(model, tokenizer, self._context_tokens)

    def _torch_dtype(self, options: dict[str, Any]) -> Any:
        if self._dtype != "auto":
            return getattr(torch, self._dtype)
        if "gguf_file" not in options:
            return "auto"
        return torch.bfloat16 if self._device.startswith("cuda") else torch.float32

    def _work(self, loaded: LoadedModel) -> None:
        """The worker's life: until closed, take a batch of jobs and answer each."""
        while jobs := self._take(loaded):
            try:
                batches = _answer(loaded, jobs, self._batch)
            except Exception as error:
                cause = _as_engine_error(error)
                for job in jobs:
                    _settle(job, cause)
            else:
                for job, batch in zip(jobs, batches, strict=True):
                    _settle(job, batch)

    def _take(self, loaded: LoadedModel) -> list[_Job]:
        """The next jobs in order of arrival whose samples fill a batch, at least one; [] once closed."""
        with self._wake:
            self._current = []
            self._wake.wait_for(lambda: self._jobs or self._worker is not threading.current_thread())
            if self._worker is not threading.current_thread():
                while self._jobs:
                    _settle(self._jobs.popleft(), EngineError(CLOSED))
                return []
            taken = [self._jobs.popleft()]
            rows = taken[0].request.n
            while self._jobs and rows + self._jobs[0].request.n <= self._batch:
                if not loaded.may_pad and len(self._jobs[0].ids) != len(taken[0].ids):
                    break
                rows += self._jobs[0].request.n
                taken.append(self._jobs.popleft())
            self._current = taken
            return taken


def as_loaded(model: Any, tokenizer: ChatTokenizer, context_tokens: int | None = None) -> LoadedModel:
    """A model in memory, with what sampling from it needs to know; ``context_tokens`` None takes the model's limit."""
    stops = model.generation_config.eos_token_id
    eos = frozenset([stops] if isinstance(stops, int) else stops or ()) | tokenizer.eos
    limit = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    return LoadedModel(model, tokenizer, eos, context_tokens or limit, tokenizer.control_tokens(), may_pad(model))


def _source(name: str) -> tuple[str, dict[str, Any]]:
    """What from_pretrained is given: a hub id or directory, or the directory and name of a GGUF file."""
    catalogue = importlib.import_module("spct.weights")
    if not (name.endswith(".gguf") or name.startswith("hf:") or name in catalogue.CATALOGUE):
        path = Path(name).expanduser()
        return (str(path) if path.is_dir() else name), {}
    path = catalogue.resolve(name).path
    return str(path.parent), {"gguf_file": path.name}


def _with_adapters(model: Any, lora: Sequence[str]) -> Any:
    if lora and importlib.util.find_spec("peft") is None:
        raise EngineMissingError("LoRA adapters under the transformers engine need PEFT: pip install peft")
    for path in lora:
        model = importlib.import_module("peft").PeftModel.from_pretrained(model, path).merge_and_unload()
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of the library while loading: the screen is not its own."""
    log: Any = transformers.utils.logging
    gguf: Any = importlib.import_module("transformers.modeling_gguf_pytorch_utils")
    shown, bar = log.is_progress_bar_enabled(), getattr(gguf, "tqdm", None)
    log.disable_progress_bar()
    gguf.tqdm = lambda items, **_: items  # this one bar does not heed the setting
    try:
        yield
    finally:
        gguf.tqdm = bar
        if shown:
            log.enable_progress_bar()


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """What loading raises, as ours."""
    try:
        yield
    except SpctError:
        raise
    except ImportError as error:
        raise EngineMissingError(f"the model {name} needs a package that is not installed: {error}") from error
    except (torch.cuda.OutOfMemoryError, MemoryError) as error:
        raise EngineError(f"the model {name} does not fit in memory: {error}") from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(f"the model {name} cannot be loaded as a causal language model: {error}") from error


def _answer(loaded: LoadedModel, jobs: Sequence[_Job], batch: int) -> list[SampleBatch | SpctError]:
    """Sample all rows of ``jobs`` together, at most ``batch`` at once."""
    rows = [
        Generation(place, ask.seed + j, ask.temperature, ask.top_p, ask.max_tokens, ask.top_logprobs)
        for place, ask in enumerate(job.request for job in jobs)
        for j in range(ask.n)
    ]
    prompts = [job.ids for job in jobs]
    dropped: Callable[[Generation], bool] = lambda row: jobs[row.prompt].dropped  # noqa: E731
    sample_rows(loaded.model, prompts, rows, batch=batch, eos=loaded.eos, dropped=dropped)
    answers: list[SampleBatch | SpctError] = []
    for place, job in enumerate(jobs):
        if job.dropped:
            answers.append(EngineError(CLOSED))
            continue
        samples = tuple(
            loaded.tokenizer.sample(row.seed, row.finish or "other", row.tokens, row.logprobs if row.top else None)
            for row in rows
            if row.prompt == place
        )
        completion_tokens = sum(len(row.tokens) for row in rows if row.prompt == place)
        answers.append(SampleBatch(samples, Usage(len(job.ids), completion_tokens, requests=1)))
    return answers


def _as_engine_error(error: Exception) -> SpctError:
    if isinstance(error, SpctError):
        return error
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return EngineError(f"out of memory while sampling: {error}; lower the engine's batch, or max_tokens")
    mapped = EngineError(f"the model failed while sampling: {type(error).__name__}: {error}")
    mapped.__cause__ = error
    return mapped


def _settle(job: _Job, outcome: SampleBatch | SpctError) -> None:
    if job.done.cancelled() or not job.done.set_running_or_notify_cancel():
        return
    if isinstance(outcome, SpctError):
        job.done.set_exception(outcome)
    else:
        job.done.set_result(outcome)
