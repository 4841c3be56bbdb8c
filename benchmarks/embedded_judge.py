"""Generated tokens per second of a whole `spct judge` run over those of the embedded library driven directly.

    python -m benchmarks.embedded_judge [--engines openvino llamacpp] [--items 6] [--max-tokens 160] [--rounds 3] [--free]

Both sides generate from the same prompts, under the same grammar (none with ``--free``), as many samples a prompt and as
many at once, and take turns in one process; models are loaded before. The judge renders, parses, votes and stores into
a run directory besides. Direct: for OpenVINO the continuous batching pipeline with its prefix cache, a primer a prompt
and then its lanes (``num_return_sequences`` garbles constrained text); for llama.cpp ``n`` of the in-process server.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from spct import load_engine, weights
from spct.engines import Engine, SampleRequest
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.items import read_items
from spct.judges.grm import GRMJudge
from spct.judges.settings import JudgeSettings, judge_settings
from spct.run import RunStore, judge_items
from spct.types import Item

MODEL = "smollm2-135m"
ITEMS = Path("examples/llmbar/items.jsonl")
Direct = Callable[[Sequence[SampleRequest]], int]


async def run_judge(engine: Engine, settings: JudgeSettings, items: Sequence[Item]) -> int:
    """Judge into a run directory; returns the tokens generated."""
    tokens = 0
    with tempfile.TemporaryDirectory() as folder:
        judge = GRMJudge(engine, settings)
        store = RunStore.create(Path(folder) / "run", {"settings": "{}"})
        async for outcome in judge_items(judge, items, in_flight=engine.capabilities.concurrency, store=store):
            tokens += outcome.verdict.usage.completion_tokens
        store.close()
    return tokens


async def requests_of(engine: Engine, settings: JudgeSettings, items: Sequence[Item]) -> list[SampleRequest]:
    """What the judge asks an engine of these abilities for."""
    script = ScriptedEngine(lambda request, j: judgment_text([5, 6]), capabilities=engine.capabilities)
    await run_judge(script, settings, items)
    return script.requests


def openvino_direct(parallel: int) -> Direct:
    import openvino_genai as genai

    scheduler = genai.SchedulerConfig()
    scheduler.cache_size = 1
    scheduler.dynamic_split_fuse = False
    scheduler.max_num_batched_tokens = 16384
    scheduler.enable_prefix_caching = True
    path = weights.resolve(MODEL, encoding="Q8_0").path
    pipeline = genai.ContinuousBatchingPipeline(path, scheduler, "CPU", {"KV_CACHE_PRECISION": "f16"})
    tokenizer = pipeline.get_tokenizer()

    def config(request: SampleRequest, seed: int, max_tokens: int) -> Any:
        made = genai.GenerationConfig(
            do_sample=True, temperature=request.temperature, top_k=0, rng_seed=seed, max_new_tokens=max_tokens
        )
        if request.grammar is not None:
            made.structured_output_config = genai.StructuredOutputConfig()
            made.structured_output_config.grammar = request.grammar
        made.eos_token_id = tokenizer.get_eos_token_id()
        return made

    def generate(requests: Sequence[SampleRequest]) -> int:
        waiting, tokens, number = list(reversed(requests)), 0, 0
        primed: list[tuple[Any, Any, SampleRequest]] = []
        lanes: list[list[Any]] = []
        while waiting or primed or lanes:
            busy = sum(request.n for *_, request in primed) + sum(map(len, lanes))
            while waiting and busy + waiting[-1].n <= parallel:
                request = waiting.pop()
                busy += request.n
                chat = [{"role": message.role, "content": message.content} for message in request.messages]
                ids = tokenizer.encode(
                    tokenizer.apply_chat_template(chat, add_generation_prompt=True), add_special_tokens=False
                ).input_ids
                number += 1
                primed.append((pipeline.add_request(number, ids, config(request, 0, 1)), ids, request))
            pipeline.step()
            for primer, ids, request in [entry for entry in primed if done(entry[0])]:
                primed.remove((primer, ids, request))
                seeds = range(request.seed, request.seed + request.n)
                lanes.append(
                    [
                        pipeline.add_request(number + j, ids, config(request, s, request.max_tokens))
                        for j, s in enumerate(seeds, 1)
                    ]
                )
                number += request.n
            for handles in [handles for handles in lanes if all(map(done, handles))]:
                lanes.remove(handles)
                tokens += sum(len(output.generated_ids) for handle in handles for output in handle.read_all())
        return tokens

    def done(handle: Any) -> bool:
        return handle.get_status().name != "RUNNING"

    return generate


def llamacpp_direct(parallel: int) -> Direct:
    import xllamacpp
    from transformers import AutoTokenizer

    path = weights.resolve(MODEL, encoding="Q8_0").path
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_parallel = parallel
    params.n_ctx = parallel * 4096
    params.kv_unified = False  # as the engine has it, with no flash attention: samples that repeat
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.fit_params = False
    params.cache_ram_mib = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = len(os.sched_getaffinity(0))
    params.verbosity = -1
    server = xllamacpp.Server(params)

    def ask(request: SampleRequest) -> int:
        chat = [{"role": message.role, "content": message.content} for message in request.messages]
        body: dict[str, Any] = {"messages": chat, "n": request.n, "seed": request.seed}
        body |= {
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "top_k": 0,
            "top_p": 1.0,
            "min_p": 0.0,
        }
        if request.grammar is not None:
            body["grammar"] = request.grammar
        reply: Any = server.handle_chat_completions(body)
        reply = orjson.loads(reply) if isinstance(reply, str | bytes) else reply
        texts = [choice["message"]["content"] for choice in reply["choices"]]
        return sum(min(len(tokenizer(text)["input_ids"]) + 1, request.max_tokens) for text in texts)

    def generate(requests: Sequence[SampleRequest]) -> int:
        with ThreadPoolExecutor(parallel) as pool:
            return sum(pool.map(ask, requests))

    return generate


async def measure(kind: str, items: Sequence[Item], settings: JudgeSettings, rounds: int) -> None:
    engine = load_engine(f"{kind}:{MODEL}")
    await engine.start()
    requests = await requests_of(engine, settings, items)
    parallel = {"openvino": 32, "llamacpp": 8}[kind]  # as the engines have it
    direct = openvino_direct(parallel) if kind == "openvino" else llamacpp_direct(parallel)
    pairs = []
    for turn in range(rounds):
        sides = {}
        for side in ("judge", "direct") if turn % 2 == 0 else ("direct", "judge"):
            began = time.perf_counter()
            if side == "judge":
                tokens = await run_judge(engine, settings, items)
            else:
                tokens = await asyncio.to_thread(direct, requests)
            sides[side] = tokens / (time.perf_counter() - began)
        pairs.append((sides["judge"], sides["direct"]))
    await engine.close()
    ratio = statistics.median(a / b for a, b in pairs)
    judged, driven = (statistics.median(column) for column in zip(*pairs, strict=True))
    spread = ", ".join(f"{a / b:.2f}" for a, b in pairs)
    print(f"| {kind} | {judged:.0f} | {driven:.0f} | {ratio:.2f} | {spread} |", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=["openvino", "llamacpp"])
    parser.add_argument("--items", type=int, default=6)
    parser.add_argument("-k", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--free", action="store_true", help="No grammar.")
    options = parser.parse_args()
    settings = judge_settings(k=options.k, max_tokens=options.max_tokens, retries=0, grammar=not options.free)
    items = list(islice(read_items(ITEMS), options.items))
    print(f"load average {os.getloadavg()[0]:.1f}, {options}\n")
    print(
        "| engine | spct judge, tokens/s | library, tokens/s | ratio | of each round |\n| --- | ---: | ---: | ---: | --- |"
    )
    for kind in options.engines:
        await measure(kind, items, settings, options.rounds)


if __name__ == "__main__":
    asyncio.run(main())
