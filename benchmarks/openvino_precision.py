"""What computing in float32 costs OpenVINO on this processor, and what it gains, against bfloat16.

    python -m benchmarks.openvino_precision [-k 8] [--tokens 100] [--rounds 3]

Speed: generated tokens a second of k samples that share a prompt of about 800 tokens, a new one each round, both
precisions taking turns in one process after a round that does not count. Then two shares for each. Top-1: of the tokens
of greedy answers to the self-check's questions, those that are the first choice of the same weights in float32 under
transformers after the same beginning. Kept: of k samples, those that stay the same when other requests are in flight.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Sequence

import torch
from benchmarks.embedded import MODEL, Load, prompts
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from spct import load_engine, weights
from spct.engines import Engine, SampleRequest
from spct.engines.embedded_check import QUESTIONS
from spct.types import Message


class Float32:
    """The same file's weights under transformers, in float32."""

    def __init__(self) -> None:
        path = weights.resolve(MODEL, encoding="Q8_0").path
        options = {"gguf_file": path.name}
        self._tokenizer = AutoTokenizer.from_pretrained(path.parent, **options)
        self._model = AutoModelForCausalLM.from_pretrained(
            path.parent, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True), **options
        ).eval()

    @torch.no_grad()
    def agreement(self, question: str, answer: str) -> list[bool]:
        """For each token of ``answer``, whether it is the first choice here after the question and what precedes it."""
        chat = [{"role": "user", "content": question}]
        asked = self._tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"]
        said = self._tokenizer(answer, add_special_tokens=False)["input_ids"]
        best = self._model(torch.tensor([asked + said])).logits[0, len(asked) - 1 : -1].argmax(-1).tolist()
        return [token == choice for token, choice in zip(said, best, strict=True)]


def sampled(text: str, k: int, tokens: int) -> SampleRequest:
    return SampleRequest((Message("user", text),), n=k, seed=7, temperature=1.0, max_tokens=tokens)


async def top1(engine: Engine, reference: Float32, tokens: int) -> float:
    requests = [SampleRequest((Message("user", text),), temperature=0.0, max_tokens=tokens) for text in QUESTIONS]
    batches = await asyncio.gather(*(engine.sample(request) for request in requests))
    agreed = [
        agrees
        for question, batch in zip(QUESTIONS, batches, strict=True)
        for agrees in reference.agreement(question, batch.samples[0].text)
    ]
    return sum(agreed) / len(agreed)


async def kept(engine: Engine, requests: Sequence[SampleRequest]) -> float:
    """The share of the first request's samples that are the same alone and beside the others."""
    alone = await engine.sample(requests[0])
    beside = (await asyncio.gather(*(engine.sample(request) for request in requests)))[0]
    same = [one.text == other.text for one, other in zip(alone.samples, beside.samples, strict=True)]
    return sum(same) / len(same)


async def speed(engine: Engine, request: SampleRequest) -> float:
    began = time.perf_counter()
    batch = await engine.sample(request)
    return batch.usage.completion_tokens / (time.perf_counter() - began)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f}, {options}\n")
    engines = {name: load_engine(f"openvino:{MODEL}", precision=name) for name in ("f32", "bf16")}
    speeds: dict[str, list[float]] = {name: [] for name in engines}
    requests = [sampled(text, options.k, options.tokens) for text in prompts(Load(options.rounds + 1, 1, 1))]
    for turn, request in enumerate(requests):
        for name in engines if turn % 2 else reversed(engines):
            speeds[name].append(await speed(engines[name], request))
    ratio = statistics.median(a / b for a, b in list(zip(*speeds.values(), strict=True))[1:])
    print(f"f32 over bf16, median of the rounds: {ratio:.2f}\n")
    reference = Float32()
    print("| precision | tokens/s | of each round | top-1 as float32 | kept |\n| --- | ---: | --- | ---: | ---: |")
    for name, engine in engines.items():
        counted = speeds[name][1:]
        shares = await top1(engine, reference, options.tokens), await kept(engine, requests)
        rounds = ", ".join(f"{value:.0f}" for value in counted)
        print(f"| {name} | {statistics.median(counted):.0f} | {rounds} | {shares[0]:.1%} | {shares[1]:.0%} |")
        await engine.close()


if __name__ == "__main__":
    asyncio.run(main())
