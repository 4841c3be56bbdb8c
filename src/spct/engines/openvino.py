"""``openvino:NAME``: OpenVINO GenAI in process, the fastest of the embedded engines on a CPU.

NAME is a catalogue name, a path to a ``.gguf`` of the llama or qwen family, ``hf:owner/repo/file.gguf``, or a directory
with a saved OpenVINO IR. Sample j of a request is what a request of its own with seed + j gives, whatever else is in
flight (see ``openvino_lanes``), as long as it computes in float32 on a CPU that is not kept to AVX2. No
log-probabilities: the library returns that of the sampled token only, never the alternatives that expected scores need.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spct import weights
from spct.aio import aside
from spct.engines.chat_text import ChatText
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
from spct.engines.openvino_lanes import Completion, Job, LaneThread
from spct.engines.openvino_model import KV_BLOCK, ModelFacts, read_facts
from spct.engines.processor import ISA_LIMITS
from spct.errors import EngineError, EngineMissingError, InputError
from spct.types import FinishReason, Message, Usage

if TYPE_CHECKING:
    from openvino_genai import ContinuousBatchingPipeline, GenerationConfig, Tokenizer

DEFAULT_CACHE_GB = 1.0
GRAMMAR = "gbnf"
PRECISIONS = ("f32", "bf16", "f16")
_ENDINGS: dict[str, FinishReason] = {"STOP": "stop", "LENGTH": "length"}


class OpenVINOEngine:
    """Follows ``Engine``. ``parallel`` samples are generated side by side, ``cache_gb`` bounds the key/value cache.

    A ``lora`` is the path of a GGUF adapter, ``PATH=0.5`` to scale it; it is merged into a copy of a GGUF model.
    ``precision`` is that of the arithmetic: float32 on a CPU unless told otherwise, the library's own choice elsewhere.
    Left to itself on a CPU the library takes bfloat16 where the processor has it, and with an Intel Xeon's matrix units
    (AMX) a sample then depends on what else is in the batch.
    ``special_tokens`` are kept out of untrusted text beside those of the tokenizer.
    """

    def __init__(
        self,
        name: str,
        *,
        device: str = "CPU",
        threads: int | None = None,
        context_tokens: int | None = None,
        cache_gb: float | None = None,
        lora: Sequence[str] = (),
        parallel: int = 32,
        precision: str | None = None,
        special_tokens: str | Sequence[str] = (),
    ) -> None:
        if parallel < 1 or (threads is not None and threads < 1) or (cache_gb is not None and cache_gb <= 0):
            raise InputError(f"openvino:{name}: parallel, threads and cache_gb must be positive")
        if precision not in (None, *PRECISIONS) or (device == "CPU" and precision == "f16"):
            raise InputError(
                f"openvino:{name}: precision {precision!r} on {device}; expected one of {', '.join(PRECISIONS)}, and f16 "
                "on other devices than a CPU only: on some CPUs it ends the process"
            )
        self._name = name
        self._device = device
        self._threads = threads
        self._wanted_context = context_tokens
        self._cache_gb = cache_gb or DEFAULT_CACHE_GB
        self._loras = tuple(weights.Lora.parse(spec) for spec in lora)
        self._parallel = parallel
        self._precision = precision or ("f32" if device == "CPU" else None)
        self._named_tokens = special_tokens_of(special_tokens)
        self._facts: ModelFacts | None = None
        self._tokenizer: Tokenizer | None = None
        self._chat: ChatText | None = None
        self._lanes: LaneThread | None = None
        self._stop_ids: frozenset[int] = frozenset()
        self._starting = asyncio.Lock()

    @property
    def model_id(self) -> str:
        return f"openvino:{self._name}" + "".join(f"+{lora}" for lora in self._loras)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about the model as it was loaded."""
        return (self._facts.note,) if self._facts is not None and self._facts.note else ()

    @property
    def configuration(self) -> Mapping[str, Any]:
        found = {
            "openvino-genai": version("openvino-genai"),
            "grammar": GRAMMAR,
            "device": self._device,
            **self._properties(),
            "parallel": self._parallel,
            "cache_gb": self._cache_gb,
            "context_tokens": self.capabilities.context_tokens,
        }
        return with_tokens(found, self._named_tokens)

    def _properties(self) -> dict[str, str | int]:
        """What the library is told about the device, under its own names."""
        properties: dict[str, str | int] = {"KV_CACHE_PRECISION": "f16"}
        if self._precision is not None:
            properties["INFERENCE_PRECISION_HINT"] = self._precision
        if _kept_to_avx2():
            # the library asks the processor and not the variable, and wants int8 kernels that are forbidden here
            properties["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0
        if self._threads is not None:
            properties["INFERENCE_NUM_THREADS"] = self._threads
        return properties

    @property
    def capabilities(self) -> Capabilities:
        repeats = self._device == "CPU" and self._precision == "f32"  # only there was it measured
        return Capabilities(
            seeding="sample" if repeats else "request",
            grammar=GRAMMAR,
            continues=True,
            shares_prefill=True,
            seed_alone=False if _kept_to_avx2() else None,  # docs/benchmarks.md has what was measured there
            concurrency=max(self._parallel // 4, 1),  # items come with several samples, or with one that is tried again
            context_tokens=self._context_tokens() if self._facts else self._wanted_context,
            special_tokens=(self._facts.special_tokens if self._facts else ()) + self._named_tokens,
        )

    async def start(self) -> None:
        async with self._starting:
            if self._lanes is None:
                await asyncio.to_thread(self._load)

    async def sample(self, request: SampleRequest) -> SampleBatch:
        await self.start()
        assert self._lanes is not None
        prompt_ids, prompt_tokens = await self._encoded(request.messages)
        check_context(prompt_tokens, request.max_tokens, self._context_tokens())
        completions = await asyncio.wrap_future(self._lanes.submit(self._job(prompt_ids, prompt_tokens, request)))
        samples = tuple(self._sample(made, request.seed + j) for j, made in enumerate(completions))
        completed = sum(len(made.token_ids) for made in completions)
        return SampleBatch(samples, Usage(prompt_tokens, completed, requests=1))

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        await self.start()
        return (await self._encoded(messages))[1]

    async def close(self) -> None:
        lanes, self._lanes = self._lanes, None
        if lanes is not None:
            await asyncio.to_thread(lanes.close)
        self._tokenizer = None

    def _load(self) -> None:
        genai = _library()
        facts = read_facts(self._name, self._loras)
        tokenizer = genai.Tokenizer(facts.path)
        tokens = {"bos_token": tokenizer.get_bos_token(), "eos_token": tokenizer.get_eos_token()}
        self._facts, self._tokenizer, self._chat = facts, tokenizer, ChatText(facts.chat_template, tokens)
        self._stop_ids = _stop_ids(facts.path, tokenizer.get_eos_token_id())
        self._lanes = LaneThread(
            self._make_pipeline,
            ballast=self._ballast(),
            stop_ids=self._stop_ids,
            parallel=self._parallel,
            blocks=self._kv_blocks(),
        )

    def _kv_blocks(self) -> int:
        assert self._facts is not None
        return self._facts.blocks_in(self._cache_gb)

    def _context_tokens(self) -> int:
        assert self._facts is not None
        return min(self._facts.context_tokens, self._wanted_context or self._facts.context_tokens)

    def _make_pipeline(self) -> ContinuousBatchingPipeline:
        genai = _library()
        assert self._facts is not None
        scheduler = genai.SchedulerConfig()
        scheduler.num_kv_blocks = self._kv_blocks() + 64  # room for companions, which admission does not count
        scheduler.enable_prefix_caching = True
        scheduler.dynamic_split_fuse = False
        scheduler.max_num_batched_tokens = self._context_tokens() + 8192
        try:
            return genai.ContinuousBatchingPipeline(self._facts.path, scheduler, self._device, self._properties())
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot load {self._facts.path} on {self._device}: {error}") from error

    async def _encoded(self, messages: tuple[Message, ...]) -> tuple[Any, int]:
        """``_encode``, aside from the loop where it takes long."""
        return await aside(partial(self._encode, messages), is_long(messages))

    def _encode(self, messages: tuple[Message, ...]) -> tuple[Any, int]:
        assert self._tokenizer is not None and self._chat is not None
        ids = self._tokenizer.encode(self._chat.render(messages), add_special_tokens=False).input_ids
        return ids, ids.shape[1]

    def _job(self, prompt_ids: Any, prompt_tokens: int, request: SampleRequest) -> Job:
        assert self._facts is not None
        stops = self._stop_ids
        configs = [_config(request, request.seed + j, stops) for j in range(request.n)]
        whole = (prompt_tokens - 1) // KV_BLOCK * KV_BLOCK
        ids = prompt_ids.data
        ends = [*range(KV_BLOCK, prompt_tokens + 1, KV_BLOCK), prompt_tokens]
        return Job(
            prompt_ids=prompt_ids,
            configs=configs,
            primer_ids=_primer_ids(ids, whole) if whole else None,
            max_tokens=request.max_tokens,
            prefixes=tuple(hash(ids[:, :end].tobytes()) for end in ends),
            prompt_blocks=self._facts.blocks(prompt_tokens),
            lane_blocks=self._facts.blocks(request.max_tokens) + 2,
            grammar=request.grammar,
        )

    def _ballast(self) -> Job:
        """Its first configuration is the row beside a lone lane, its second the companion of a lone prompt."""
        request = SampleRequest((Message("user", "-"),), n=2, temperature=0.0, max_tokens=64)
        ids, tokens = self._encode(request.messages)
        job = self._job(ids, tokens, request)
        job.configs[1].max_new_tokens = 2
        return job

    def _sample(self, made: Completion, seed: int) -> Sample:
        assert self._tokenizer is not None
        return Sample(
            text=self._tokenizer.decode(list(made.token_ids)) if made.token_ids else "",
            finish_reason=_ENDINGS.get(made.ending, "other"),
            seed=seed,
            completion_tokens=len(made.token_ids),
        )


def _kept_to_avx2() -> bool:
    """Whether the library's kernels may use AVX2 at most."""
    return any(os.environ.get(name, "").upper() == "AVX2" for name in ISA_LIMITS)


def _stop_ids(path: Path, eos: int) -> frozenset[int]:
    """The end token and those that a saved model's generation config adds."""
    file = path / "generation_config.json"
    extra = json.loads(file.read_text("utf-8")).get("eos_token_id", []) if file.is_file() else []
    return frozenset([eos, *(extra if isinstance(extra, list) else [extra])])


def _primer_ids(ids: Any, whole: int) -> Any:
    """The first ``whole`` prompt tokens and one that is not the prompt's next.

    Without it a primer that finds all its blocks cached would write its last token anew into a block that lanes read.
    """
    import openvino

    primer = ids[:, : whole + 1].copy()
    primer[0, whole] = 0 if primer[0, whole] else 1
    return openvino.Tensor(primer)


def _config(request: SampleRequest, seed: int, stop_ids: frozenset[int]) -> GenerationConfig:
    genai = _library()
    config = genai.GenerationConfig()
    config.max_new_tokens = max(request.max_tokens, 2)
    config.eos_token_id = min(stop_ids)
    config.stop_token_ids = set(stop_ids)
    config.ignore_eos = True  # see openvino_lanes: the end token is found there
    if request.temperature > 0:
        config.do_sample = True
        config.temperature = request.temperature
        config.top_p = request.top_p
        config.top_k = 0
        config.rng_seed = seed
    if request.grammar is not None:
        structure = genai.StructuredOutputConfig()
        structure.grammar = request.grammar
        config.structured_output_config = structure
    return config


def _library() -> Any:
    try:
        import openvino_genai
    except ImportError as error:
        raise EngineMissingError("openvino: needs OpenVINO GenAI: pip install 'spct[openvino]'") from error
    return openvino_genai
