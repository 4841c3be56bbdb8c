"""``vllm:NAME``: vLLM in this process, for batches of work on a GPU, or on a CPU with a build of vLLM for it.

NAME is a hub id or a folder in the Hugging Face format. The n samples of a request share the processing of their prompt.
Log-probabilities are the model's before the temperature and after the grammar; tokens that the grammar forbids are left out.
vLLM's own choices are kept where no option is named, but for two. On a CPU it does not cut prompts into chunks: with a seed that
ends it (0.32.0). And what a model's folder recommends for sampling is not applied, so that a run's settings are what it says.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from spct.aio import aside
from spct.engines.chat_tokenizer import ChatTokenizer, Chosen
from spct.engines.engine import (
    Capabilities,
    Sample,
    SampleBatch,
    SampleRequest,
    check_context,
    is_long,
    special_tokens_of,
    with_tokens,
)
from spct.engines.vllm_loop import EngineThread, Job
from spct.errors import EngineError, EngineMissingError, InputError, SpctError, WeightsError
from spct.types import FinishReason, Message, Usage

DTYPES = ("auto", "float32", "bfloat16", "float16")
GRAMMAR, JSON_SCHEMA = "gbnf", "json"
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks that vLLM makes room for."""
OWN_ARGUMENTS = (
    "model",
    "dtype",
    "max_model_len",
    "kv_cache_memory_bytes",
    "trust_remote_code",
    "max_logprobs",
    "seed",
)
QUIET = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",  # results go to stdout
    "VLLM_NO_USAGE_STATS": "1",
}
CPU_CACHE_GB = 2.0
_ENDINGS: Mapping[Any, FinishReason] = {"stop": "stop", "length": "length"}


class VLLMEngine:
    """Follows ``Engine``. ``dtype`` "auto" takes the checkpoint's.

    ``cache_gb`` bounds the key/value cache: on a GPU what vLLM leaves itself, on a CPU 2 unless told otherwise. A ``lora``
    is the folder of one PEFT adapter. ``concurrency`` is the number of requests worth having in flight. ``arguments`` are
    further fields of vLLM's ``EngineArgs``, by its own names. ``special_tokens`` are kept out of untrusted text beside those
    of the tokenizer.

    A seed decides a sample in float32 on a CPU; in bfloat16 the same seed gives other samples in a batch of another size.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        *,
        dtype: str = "auto",
        context_tokens: int | None = None,
        cache_gb: float | None = None,
        concurrency: int = 64,
        lora: Sequence[str] = (),
        trust_remote_code: bool = False,
        arguments: Mapping[str, Any] | None = None,
        special_tokens: str | Sequence[str] = (),
    ) -> None:
        if dtype not in DTYPES:
            raise InputError(f"vllm:{name}: dtype {dtype!r}; expected one of {', '.join(DTYPES)}")
        if concurrency < 1 or (cache_gb is not None and cache_gb <= 0):
            raise InputError(f"vllm:{name}: concurrency and cache_gb must be positive")
        if taken := sorted(set(OWN_ARGUMENTS) & (arguments or {}).keys()):
            raise InputError(
                f"vllm:{name}: arguments sets {', '.join(taken)}: these have options of their own, or are fixed"
            )
        self._name = name
        self._dtype = dtype
        self._context_tokens = context_tokens
        self._cache_gb = cache_gb
        self._concurrency = concurrency
        self._lora, self._lora_rank = read_adapter((lora,) if isinstance(lora, str) else tuple(lora))
        self._trust_remote_code = trust_remote_code
        self._arguments = dict(arguments or {})
        self._named_tokens = special_tokens_of(special_tokens)
        self._device: str | None = None
        self._version: str | None = None
        self._tokenizer: ChatTokenizer | None = None
        self._control_tokens: tuple[str, ...] = ()
        self._thread: EngineThread | None = None
        self._starting = asyncio.Lock()
        if importlib.util.find_spec("vllm") is None:
            raise EngineMissingError(
                "the vllm engine needs vLLM: pip install 'spct[vllm]' (docs/engines.md tells for which machines)"
            )

    @property
    def model_id(self) -> str:
        return f"vllm:{self._name}" + (f"+{self._lora}" if self._lora else "")

    @property
    def configuration(self) -> Mapping[str, Any]:
        found = {
            "vllm": self._version,
            "grammar": GRAMMAR,
            "json_schema": JSON_SCHEMA,
            "device": self._device,
            "dtype": self._dtype,
            "context_tokens": self._context_tokens,
            "cache_gb": self._cache_gb,
            "lora": self._lora,
            "arguments": json.dumps(self._arguments, sort_keys=True, default=str),
        }
        return with_tokens(found, self._named_tokens)

    @property
    def capabilities(self) -> Capabilities:
        # Measured on a CPU: float32 samples were the same in every grouping, bfloat16 ones in about half of the cases.
        repeats = (self._device, self._dtype) == ("cpu", "float32")
        return Capabilities(
            seeding="sample" if repeats else "request",
            seed_alone=None if repeats else False,
            logprobs=True,
            grammar=GRAMMAR,
            json_schema=JSON_SCHEMA,
            continues=True,
            shares_prefill=True,
            context_tokens=self._context_tokens,
            concurrency=self._concurrency,
            special_tokens=self._control_tokens + self._named_tokens,
        )

    async def start(self) -> None:
        await self._started()

    async def sample(self, request: SampleRequest) -> SampleBatch:
        thread = await self._started()
        prompt_ids = await self._encoded(request.messages)
        check_context(len(prompt_ids), request.max_tokens, self._context_tokens)
        made = await asyncio.wrap_future(thread.submit(Job(prompt_ids, sampling_parameters(request))))
        samples = tuple([self._sample(output, request.seed + j) for j, output in enumerate(made)])
        completed = sum(len(output.token_ids) for output in made)
        return SampleBatch(samples, Usage(len(prompt_ids), completed, requests=1))

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        await self.start()
        return len(await self._encoded(messages))

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.close)

    async def _started(self) -> EngineThread:
        async with self._starting:
            if self._thread is None:
                self._thread = await asyncio.to_thread(self._load)
            return self._thread

    async def _encoded(self, messages: tuple[Message, ...]) -> list[int]:
        assert self._tokenizer is not None
        return await aside(partial(self._tokenizer.encode, messages), is_long(messages))

    def _sample(self, output: Any, seed: int) -> Sample:
        assert self._tokenizer is not None
        tokens, logprobs = list(output.token_ids), output.logprobs
        chosen = None if logprobs is None else [as_chosen(*pair) for pair in zip(tokens, logprobs, strict=True)]
        return self._tokenizer.sample(seed, _ENDINGS.get(output.finish_reason, "other"), tokens, chosen)

    def _load(self) -> EngineThread:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        try:
            vllm = importlib.import_module("vllm")
            self._version = vllm.__version__
            self._device = str(importlib.import_module("vllm.platforms").current_platform.device_type)
            engine = vllm.LLMEngine.from_engine_args(vllm.EngineArgs(**self._engine_arguments()))
        except ImportError as error:
            raise EngineMissingError(f"vLLM cannot be imported: {error}") from error
        except (OSError, ValueError) as error:
            raise WeightsError(f"vllm:{self._name} cannot be loaded: {error}") from error
        except Exception as error:
            raise EngineError(f"vLLM cannot start with {self._name}: {type(error).__name__}: {error}") from error
        try:
            self._tokenizer = ChatTokenizer(engine.get_tokenizer(), self._name)
        except SpctError:
            engine.engine_core.shutdown()
            raise
        self._control_tokens = self._tokenizer.control_tokens()
        config = engine.model_config
        self._dtype = str(config.dtype).removeprefix("torch.")
        self._context_tokens = config.max_model_len
        return EngineThread(engine, self._lora_request())

    def _engine_arguments(self) -> dict[str, Any]:
        """What vLLM is told, under its own names; ``arguments`` has the last word."""
        told: dict[str, Any] = {
            "model": self._name,
            "dtype": self._dtype,
            "max_model_len": self._context_tokens,
            "trust_remote_code": self._trust_remote_code,
            "max_logprobs": -1,  # any number: how many is the request's affair
            "use_tqdm_on_load": False,
        }
        if self._device == "cpu":
            told["enable_chunked_prefill"] = False
            self._cache_gb = self._cache_gb or CPU_CACHE_GB
        if self._cache_gb is not None:
            told["kv_cache_memory_bytes"] = int(self._cache_gb * 2**30)
        if self._lora is not None:
            told |= {"enable_lora": True, "max_lora_rank": self._lora_rank}
        return told | self._arguments

    def _lora_request(self) -> Any:
        if self._lora is None:
            return None
        return importlib.import_module("vllm.lora.request").LoRARequest("adapter", 1, self._lora)


def sampling_options(request: SampleRequest) -> list[dict[str, Any]]:
    """The fields of vLLM's ``SamplingParams`` for each request to make: one with n, or n of one sample where it is greedy.

    vLLM refuses n above 1 at temperature 0.
    """
    if request.temperature == 0 and request.n > 1:
        alone = [replace(request, n=1, seed=request.seed + j) for j in range(request.n)]
        return [fields for one in alone for fields in sampling_options(one)]
    fields: dict[str, Any] = {
        "n": request.n,
        "seed": request.seed,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": request.max_tokens,
        "detokenize": False,  # the tokenizer here does it, which must fit the log-probabilities piece by piece
    }
    if request.top_logprobs > 0:
        fields["logprobs"] = request.top_logprobs
    if request.grammar is not None:
        fields["structured_outputs"] = {"grammar": request.grammar}
    elif request.json_schema is not None:
        fields["structured_outputs"] = {"json": request.json_schema}
    return [fields]


def sampling_parameters(request: SampleRequest) -> list[Any]:
    """``sampling_options`` as the library's objects."""
    kinds = importlib.import_module("vllm.sampling_params")
    made = []
    for fields in sampling_options(request):
        if structure := fields.pop("structured_outputs", None):
            fields["structured_outputs"] = kinds.StructuredOutputsParams(**structure)
        made.append(kinds.SamplingParams(**fields, output_kind=kinds.RequestOutputKind.FINAL_ONLY))
    return made


def as_chosen(token: int, listed: Mapping[int, Any]) -> Chosen:
    """One place of vLLM's log-probabilities, likeliest first, without the tokens that the grammar forbids there (-inf)."""
    top = [(other, entry.logprob) for other, entry in listed.items() if entry.logprob > -float("inf")]
    return listed[token].logprob, sorted(top, key=lambda pair: -pair[1])


def read_adapter(lora: tuple[str, ...]) -> tuple[str | None, int | None]:
    """The folder of the adapter, if any, and the rank to make room for. Raises InputError."""
    if not lora:
        return None, None
    if len(lora) > 1:
        raise InputError(
            f"vllm: {len(lora)} LoRA adapters; it applies one: merge them, or merge all but one into the model"
        )
    file = Path(lora[0]).expanduser() / "adapter_config.json"
    try:
        rank = json.loads(file.read_text("utf-8"))["r"]
        room = next(room for room in LORA_RANKS if room >= rank)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"vllm: {lora[0]} is not the folder of a PEFT adapter: {type(error).__name__}: {error}"
        ) from error
    except StopIteration:
        raise InputError(f"vllm: the adapter {lora[0]} has rank {rank}; vLLM takes up to {LORA_RANKS[-1]}") from None
    return str(file.parent), room
