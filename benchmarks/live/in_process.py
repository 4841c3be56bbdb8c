"""``vllm:`` in this process, run with the Python that has vLLM; one JSON line of findings.

.venv-live/bin/python -m benchmarks.live.in_process FOLDER
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.live.checks import CHECKS, STORY, Finding

from spct.engines import SampleRequest, load_engine

SCHEMA = {
    "type": "object",
    "properties": {"score": {"enum": [1, 2, 3]}},
    "required": ["score"],
    "additionalProperties": False,
}
GREEDY = SampleRequest(STORY, temperature=0.0, max_tokens=1, top_logprobs=5)
EAGER = {"enforce_eager": True}


async def without_adapter(folder: Path) -> list[Finding]:
    engine = load_engine(f"vllm:{folder / 'model'}", dtype="float32", context_tokens=4096, arguments=EAGER)
    await engine.start()
    found = [finding for check in CHECKS for finding in await check(engine)]
    schema = replace(GREEDY, temperature=1.0, n=4, max_tokens=60, json_schema=json.dumps(SCHEMA))
    samples = (await engine.sample(schema)).samples
    await engine.close()
    # The small model may write spaces for ever, which a schema allows.
    ended = [sample for sample in samples if sample.finish_reason == "stop"]
    followed = sum(_follows(sample.text) for sample in ended)
    told = f"{followed} of {len(ended)} that ended by themselves, of {len(samples)}"
    return [*found, Finding("samples that follow a JSON schema", told, followed == len(ended) > 0)]


def _follows(text: str) -> bool:
    try:
        return json.loads(text) in [{"score": score} for score in (1, 2, 3)]
    except ValueError:
        return False


async def first_token(folder: Path, model: str, **options: object) -> dict[str, float]:
    """The five likeliest first tokens of a greedy answer."""
    engine = load_engine(f"{model}:{folder / 'model'}", dtype="float32", context_tokens=4096, **options)
    await engine.start()
    (sample,) = (await engine.sample(GREEDY)).samples
    await engine.close()
    assert sample.logprobs is not None
    return dict(sample.logprobs[0].top)


async def adapter(folder: Path) -> list[Finding]:
    """An adapter changes what is said, to what transformers says with it."""
    lora = (str(folder / "adapter"),)
    plain = await first_token(folder, "vllm", arguments=EAGER)
    here = await first_token(folder, "vllm", arguments=EAGER, lora=lora)
    there = json.loads((folder / "adapter-first-token.json").read_text())
    changed = max(abs(here.get(token, -99.0) - value) for token, value in plain.items())
    apart = max(abs(here.get(token, -99.0) - value) for token, value in there.items())
    found = f"{changed:.2f} from the model without it, {apart:.1e} from transformers with it"
    return [Finding("log-probabilities of a first token with a LoRA adapter", found, changed > 0.1 and apart < 1e-2)]


async def main(folder: Path) -> None:
    findings = [*await without_adapter(folder), *await adapter(folder)]
    (folder / "in-process.json").write_text(json.dumps([asdict(finding) for finding in findings]))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
