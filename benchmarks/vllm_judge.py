"""Generated tokens a second of a whole `spct judge` run on ``vllm:`` over those of vLLM driven bare, and how busy the GPU was.

    python -m benchmarks.vllm_judge MODEL [--data ROWS] [--items 512] [-k 8] [--max-tokens 512] [--rounds 3] [--free]
    python -m benchmarks.vllm_judge MODEL --argument tensor_parallel_size=2 --argument gpu_memory_utilization=0.8

Run it with the Python that has vLLM. Bare is ``vllm.LLM.chat`` over the very requests that the judge makes, all handed over at
once: same messages, grammar (none with ``--free``), seeds, lengths and engine arguments. The judge renders, parses,
votes and stores into a run directory besides. Each side has a process of its own, one after the other, loads the model,
does the work once unmeasured (which fills the prefix cache) and then so many rounds. Busy is the mean of what nvidia-smi says of
all GPUs five times a second; without one, the share of this machine's processors that the side's processes took.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from shutil import which
from typing import Any

from benchmarks.embedded_judge import ITEMS, requests_of, run_judge

from spct.engines import SampleRequest, load_engine
from spct.items import read_items
from spct.judges.settings import judge_settings
from spct.types import Item

SMI = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]


@dataclass(slots=True)
class Side:
    """Tokens a second of each round, and the share of the device that was busy meanwhile."""

    tokens_per_s: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    device: str = ""

    def measure(self, work: Callable[[], int], rounds: int) -> None:
        """Do ``work``, which tells how many tokens it made, once and then ``rounds`` times."""
        work()
        for _ in range(rounds):
            with watched() as busy:
                began = time.perf_counter()
                tokens = work()
                seconds = time.perf_counter() - began
            self.tokens_per_s.append(tokens / seconds)
            self.busy.append(busy())


@contextlib.contextmanager
def watched() -> Iterator[Callable[[], float]]:
    """How busy the device was meanwhile, 0 to 1, once it is over."""
    if which(SMI[0]) is None:
        began, before = time.perf_counter(), _cpu_s()
        share: list[float] = []
        yield lambda: share[0]
        share.append((_cpu_s() - before) / (time.perf_counter() - began) / len(os.sched_getaffinity(0)))
        return
    with subprocess.Popen(SMI, stdout=subprocess.PIPE, text=True) as smi:
        assert smi.stdout is not None
        lines: list[str] = []
        reader = threading.Thread(target=lines.extend, args=(smi.stdout,), daemon=True)
        reader.start()
        try:
            yield lambda: statistics.fmean(float(line) for line in lines if line.strip()) / 100
        finally:
            smi.terminate()
            reader.join()


def _cpu_s() -> float:
    """Processor seconds of this process and of those that it started, vLLM's workers among them."""
    own = {os.getpid()}
    ticks = 0
    stats = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rsplit(")", 1)[1].split()
            stats.append((int(path.parent.name), int(fields[1]), int(fields[11]) + int(fields[12])))
    for pid, parent, spent in sorted(stats):  # a child's number is nearly always above its parent's
        if pid in own or parent in own:
            own.add(pid)
            ticks += spent
    return ticks / os.sysconf("SC_CLK_TCK")


def repeated(items: Sequence[Item], count: int) -> list[Item]:
    """So many items; a file of fewer begins anew, each copy's question told apart by its number."""
    turns = itertools.islice(itertools.cycle(items), count)
    return [
        replace(item, id=str(i), messages=(*item.messages[:-1], _numbered(item, i // len(items))))
        for i, item in enumerate(turns)
    ]


def _numbered(item: Item, turn: int) -> Any:
    last = item.messages[-1]
    return last if turn == 0 else replace(last, content=f"({turn + 1}) {last.content}")


def judged(options: argparse.Namespace) -> Side:
    """The judge's side; what it asks for is left in the file of requests."""
    settings = judge_settings(k=options.k, max_tokens=options.max_tokens, retries=0, grammar=not options.free)
    items = repeated(list(read_items(options.data)), options.items)
    told = {"arguments": arguments_of(options), "dtype": options.dtype, "concurrency": options.concurrency}
    engine = load_engine(f"vllm:{options.model}", context_tokens=options.context_tokens, **told)
    side = Side()
    with asyncio.Runner() as loop:
        loop.run(engine.start())
        asked = loop.run(requests_of(engine, settings, items))
        options.requests.write_bytes(pickle.dumps(asked))
        side.device = str(engine.configuration["device"])
        side.measure(lambda: loop.run(run_judge(engine, settings, items)), options.rounds)
        loop.run(engine.close())
    return side


def bare(options: argparse.Namespace) -> Side:
    """vLLM's side, over the requests in the file."""
    import vllm
    from vllm.sampling_params import StructuredOutputsParams

    asked: list[SampleRequest] = pickle.loads(options.requests.read_bytes())
    engine = vllm.LLM(
        options.model,
        dtype=options.dtype,
        max_model_len=options.context_tokens,
        max_logprobs=-1,
        **{**cpu_arguments(), **arguments_of(options)},
    )
    chats = [[{"role": turn.role, "content": turn.content} for turn in request.messages] for request in asked]
    wanted = [
        vllm.SamplingParams(
            n=request.n,
            seed=request.seed,
            temperature=request.temperature,
            top_p=request.top_p,
            max_tokens=request.max_tokens,
            structured_outputs=None if request.grammar is None else StructuredOutputsParams(grammar=request.grammar),
        )
        for request in asked
    ]

    def work() -> int:
        made = engine.chat(chats, wanted, use_tqdm=False)
        return sum(len(output.token_ids) for reply in made for output in reply.outputs)

    side = Side()
    side.measure(work, options.rounds)
    return side


def cpu_arguments() -> dict[str, Any]:
    """What ``vllm:`` sets on a CPU (docs/engines.md), for both sides to be alike."""
    from vllm.platforms import current_platform

    on_cpu = current_platform.device_type == "cpu"
    return {"enable_chunked_prefill": False, "kv_cache_memory_bytes": 2 * 2**30} if on_cpu else {}


def arguments_of(options: argparse.Namespace) -> dict[str, Any]:
    """Fields of vLLM's EngineArgs by name; values as JSON has them, or as text."""
    found: dict[str, Any] = {}
    for name, _, value in (each.partition("=") for each in options.argument):
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


SIDES: Mapping[str, Callable[[argparse.Namespace], Side]] = {"judge": judged, "bare": bare}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a hub id, or a folder in the Hugging Face format")
    parser.add_argument("--data", type=Path, default=ITEMS)
    parser.add_argument("--items", type=int, default=512)
    parser.add_argument("-k", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=256, help="requests of the judge in flight")
    parser.add_argument("--context-tokens", type=int, default=8192)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--argument", action="append", default=[], metavar="NAME=VALUE", help="a field of EngineArgs")
    parser.add_argument("--free", action="store_true", help="no grammar")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        found = SIDES[options.side](options)
        options.requests.with_suffix(f".{options.side}").write_text(json.dumps(asdict(found)))
        return
    with tempfile.TemporaryDirectory() as folder:
        sides = {name: _in_a_process(name, Path(folder) / "requests") for name in SIDES}
    judge, driven = sides["judge"], sides["bare"]
    print(f"{options.model}, {judge.device}, {options.items} items, k = {options.k}\n")
    print("| side | tokens/s, median | of each round | busy |\n| --- | ---: | --- | ---: |")
    for name, side in sides.items():
        rounds = ", ".join(f"{speed:,.0f}" for speed in side.tokens_per_s)
        print(
            f"| {name} | {statistics.median(side.tokens_per_s):,.0f} | {rounds} | {statistics.fmean(side.busy):.0%} |"
        )
    ratio = statistics.median(judge.tokens_per_s) / statistics.median(driven.tokens_per_s)
    print(f"\n`spct judge` over bare: {ratio:.2f}")


def _in_a_process(side: str, requests: Path) -> Side:
    command = [
        sys.executable,
        "-m",
        "benchmarks.vllm_judge",
        *sys.argv[1:],
        "--side",
        side,
        "--requests",
        str(requests),
    ]
    subprocess.run(command, stdout=sys.stderr, check=True)
    return Side(**json.loads(requests.with_suffix(f".{side}").read_text()))


if __name__ == "__main__":
    main()
