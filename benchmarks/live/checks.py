"""What an engine and a run promise, tried against a real server. Each check gives what was found and whether it should be so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.live.servers import NAME, Server

from spct.engines import Engine, SampleRequest, load_engine
from spct.errors import ContextLengthError, RequestError
from spct.meta import Case, load_meta
from spct.run import RunStore
from spct.types import Message

ITEMS = Path(__file__).parent.parent.parent / "examples" / "llmbar" / "items.jsonl"
TRAJECTORIES = ITEMS.parent.parent / "trajectories" / "items.jsonl"
SPCT = (sys.executable, "-c", "from spct.cli import main; main()")
STORY = (Message("user", "Tell a story of a cat."),)
SCORES = 'root ::= "score " [1-9] ", " [1-9]'


@dataclass(frozen=True, slots=True)
class Finding:
    """``holds`` is whether it is as promised."""

    what: str
    found: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Target:
    """What is judged with: the ``--model`` of a command and its further arguments, in pairs; ``spct`` is the command."""

    name: str
    model: str
    arguments: tuple[str, ...] = ()
    spct: tuple[str, ...] = SPCT

    def engine(self) -> Engine:
        pairs = zip(self.arguments[::2], self.arguments[1::2], strict=True)
        options: dict[str, Any] = {}
        for flag, value in pairs:
            name, _, told = (
                value.partition("=") if flag == "--engine-option" else (flag[2:].replace("-", "_"), "", value)
            )
            options[name] = told
        return load_engine(self.model, **options)


def at(server: Server, name: str) -> Target:
    """Nothing is said of what the server is: the engine finds it out."""
    return Target(name, f"openai:{NAME}", ("--base-url", server.base_url))


def judge(target: Target, out: Path, *more: str, items: Path = ITEMS) -> subprocess.CompletedProcess[str]:
    """A run in ``out``, in place of one that was there unless that is to be resumed."""
    if "--resume" not in more:
        shutil.rmtree(out, ignore_errors=True)
    command = [*target.spct, "judge", str(items), "--model", target.model, *target.arguments, "--out", str(out), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def first_items(count: int, folder: Path) -> Path:
    path = folder / f"{count}.jsonl"
    path.write_text("".join(ITEMS.read_text().splitlines(keepends=True)[:count]))
    return path


@dataclass(frozen=True, slots=True)
class Share:
    """Invalid judgments of a run without a second try, of how many, and why."""

    invalid: int
    judgments: int
    reasons: str

    @property
    def points(self) -> float:
        return 100 * self.invalid / self.judgments

    def __str__(self) -> str:
        return f"{self.invalid} of {self.judgments} ({self.points:.1f}%{': ' + self.reasons if self.reasons else ''})"


def invalid_share(target: Target, out: Path, items: Path, *more: str) -> Share:
    done = judge(target, out, "-k", "8", "--retries", "0", "--seed", "1", "--json", *more, items=items)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{target.name}: {done.stderr[-3000:]}")
    store = RunStore.open(out)
    problems = store.problem_counts()
    share = Share(
        sum(problems.values()), store.count("judgments"), ", ".join(f"{n} {why}" for why, n in problems.items())
    )
    store.close()
    return share


def of_equal_texts(one: Path, other: Path) -> Finding:
    """How many judgments of two runs of the same settings are the same text: their seeds are the same."""
    texts = []
    for run in (one, other):
        with contextlib.closing(RunStore.open(run)) as store:
            texts.append({(place, j.index, j.attempt): j.text for place, of in store.judgments() for j in of})
    same = sum(text == texts[1].get(place) for place, text in texts[0].items())
    return Finding("judgments that are the same text over HTTP and in process", f"{same} of {len(texts[0])}", True)


async def samples_and_seeds(engine: Engine) -> list[Finding]:
    """Whether choices differ, come again, and are what the engine says of its seeds."""
    request = SampleRequest(STORY, n=8, seed=1000, temperature=0.8, max_tokens=40)
    many, again = (await engine.sample(request)).samples, (await engine.sample(request)).samples
    alone = [(await engine.sample(replace(request, n=1, seed=request.seed + j))).samples[0] for j in range(8)]
    distinct = len({sample.text for sample in many})
    same = sum(one.text == other.text for one, other in zip(many, again, strict=True))
    lone = sum(one.text == other.text for one, other in zip(many, alone, strict=True))
    seeding = engine.capabilities.seeding
    return [
        Finding("n = 8: choices that differ", f"{distinct} of 8", distinct == 8),
        Finding("the same request again", f"{same} of 8 the same", same == 8),
        Finding(
            f"choice j as a request of its own (seeding: {seeding})",
            f"{lone} of 8 the same",
            seeding != "sample" or lone == 8,
        ),
    ]


async def grammar_and_logprobs(engine: Engine) -> list[Finding]:
    request = SampleRequest(STORY, n=4, seed=7, temperature=1.0, max_tokens=24, grammar=SCORES, top_logprobs=20)
    batch = await engine.sample(request)
    followed = sum(len(s.text) == 10 and s.text.startswith("score ") for s in batch.samples)
    covered = sum(s.logprobs is not None and "".join(t.token for t in s.logprobs) == s.text for s in batch.samples)
    tokens = [token for sample in batch.samples for token in sample.logprobs or ()]
    proper = sum(t.logprob <= 1e-6 and sum(math.exp(p) for _, p in t.top) <= 1.001 for t in tokens)
    return [
        Finding("samples that follow a grammar", f"{followed} of 4", followed == 4),
        Finding("samples whose log-probabilities cover their text", f"{covered} of 4", covered == 4),
        Finding(
            "tokens whose alternatives have at most probability 1",
            f"{proper} of {len(tokens)}",
            proper == len(tokens) > 0,
        ),
        Finding(
            "log-probabilities are still asked for", str(engine.capabilities.logprobs), engine.capabilities.logprobs
        ),
    ]


async def greedy_and_refused(engine: Engine) -> list[Finding]:
    """n at temperature 0 costs n later nothing; what is too long or wrong is told as that."""
    greedy = await engine.sample(SampleRequest(STORY, n=3, temperature=0.0, max_tokens=8))
    after = await engine.sample(SampleRequest(STORY, n=8, seed=5, temperature=0.8, max_tokens=4))
    findings = [
        Finding("n = 3 at temperature 0", f"{len(greedy.samples)} samples", len(greedy.samples) == 3),
        Finding("n = 8 after it", f"{after.usage.requests} requests", after.usage.requests == 1),
    ]
    wrong = {
        "a prompt beyond the context": (SampleRequest((Message("user", "cat " * 40_000),)), ContextLengthError),
        "a grammar that is none": (SampleRequest(STORY, grammar="root ::= missing"), RequestError),
    }
    for what, (request, kind) in wrong.items():
        try:
            await engine.sample(request)
        except Exception as error:
            findings.append(Finding(what, f"{type(error).__name__}: {str(error)[:160]}", isinstance(error, kind)))
        else:
            findings.append(Finding(what, "samples", False))
    return findings


async def begun_turn(engine: Engine) -> list[Finding]:
    """A turn begun for the assistant is gone on with, and not answered."""
    begun = (Message("user", "Count from 1 to 12."), Message("assistant", "1, 2, 3, 4, 5, 6,"))
    if not engine.capabilities.continues:
        return [Finding("a begun turn", "the engine is not known to go on from one", False)]
    greedy = SampleRequest(begun, temperature=0.0, max_tokens=12)
    (sample,) = (await engine.sample(greedy)).samples
    four = (await engine.sample(replace(greedy, n=4, seed=3, temperature=0.5))).samples
    going_on = sum(one.text.lstrip().startswith("7") for one in four)
    return [
        Finding(
            f"after {begun[-1].content!r} as a begun turn", repr(sample.text), sample.text.lstrip().startswith("7")
        ),
        Finding("n = 4 of it: samples that go on with 7", f"{going_on} of 4", going_on > 0),
    ]


CHECKS = (samples_and_seeds, grammar_and_logprobs, greedy_and_refused, begun_turn)


async def of_engine(target: Target) -> list[Finding]:
    engine = target.engine()
    await engine.start()
    try:
        found = [await check(engine) for check in CHECKS]
        notes = [Finding("notes of the engine", "; ".join(engine.notes) or "none", True)]
        return [finding for findings in (*found, notes) for finding in findings]
    finally:
        await engine.close()


def of_killed_server(server: Server, target: Target, folder: Path, items: Path, max_tokens: int) -> list[Finding]:
    """The server is killed once the first verdict is there; the run says so, and goes on when the server is back."""
    out = folder / f"{target.name}-killed"
    shutil.rmtree(out, ignore_errors=True)
    more = ("-k", "8", "--retries", "0", "--json", "--concurrency", "2", "--max-tokens", str(max_tokens))
    command = [*target.spct, "judge", str(items), "--model", target.model, *target.arguments, "--out", str(out), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = process.stdout.readline()
    server.kill()
    began = time.monotonic()
    rest, told = process.communicate()
    seconds = time.monotonic() - began
    before = _kept(out)
    server.start()
    done = judge(target, out, "--resume", *more, items=items)
    after = _kept(out)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    verdicts = sum(row["error"] is None for row in rows)
    wanted = sum(1 for _ in items.open())
    last_words = " ".join(told.split())[-240:]
    return [
        Finding(
            "killed in the middle of a run",
            f"exit {process.returncode} after {seconds:.0f} s: {last_words}",
            process.returncode not in (0, 1) and bool(first),
        ),
        Finding("verdicts before it", str(1 + len(rest.splitlines())), True),
        Finding(
            "resumed once it is back",
            f"exit {done.returncode}, {len(rows)} of {wanted} items, {verdicts} with a verdict",
            done.returncode in (0, 1) and len(rows) == wanted,
        ),
        Finding(
            "judgments kept from before",
            f"{len(before & after)} of {len(before)}, {len(after)} in the end",
            before <= after and len(after) == 8 * wanted,
        ),
    ]


def of_trajectories(target: Target, out: Path) -> tuple[list[Finding], str]:
    """Responses that call tools, judged; and the prompt of the first as the model got it."""
    done = judge(target, out, "-k", "4", "--max-tokens", "160", "--json", items=TRAJECTORIES)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    means = "; ".join(f"{row['id']} {row['means']}" for row in rows)
    wanted = sum(1 for _ in TRAJECTORIES.open())
    judged = sum(row["error"] is None for row in rows)
    found = f"exit {done.returncode}, {judged} of {wanted} with a verdict, means: {means}"
    shown = subprocess.run(
        [*target.spct, "show", str(out), rows[0]["id"], "--prompt"], capture_output=True, text=True, check=True
    )
    prompt = shown.stdout.partition("\n  principles")[0] + "\n"  # of the first judgment, without what it says
    return [Finding(f"two items with tool calls, by {target.name}", found, judged == wanted > 0)], prompt


def _kept(out: Path) -> set[tuple[int, int, str]]:
    store = RunStore.open(out)
    kept = {(place, judgment.index, judgment.text) for place, judgments in store.judgments() for judgment in judgments}
    store.close()
    return kept


async def ratings_of(spec: str, cases: Sequence[Case], **options: Any) -> list[float | None]:
    meta = load_meta(spec, **options)
    await meta.start()
    try:
        return [rating.value for rating in await meta.rate(cases)]
    finally:
        await meta.close()


def of_classifier(server: Server, classifier: Path, run: Path, count: int) -> list[Finding]:
    """The meta RM behind ``/classify`` against the same files in this process."""
    store = RunStore.open(run)
    cases: list[Case] = []
    for position, judgments in store.judgments():
        item = store.item(position)
        cases += [Case(item, made, item.messages, made.text) for made in judgments if made.problem is None]
    store.close()
    cases = cases[:count]
    local = asyncio.run(ratings_of(f"classifier:{classifier}", cases, device="cpu"))
    remote = asyncio.run(ratings_of(f"remote:{NAME}", cases, base_url=server.base_url))
    apart = [abs(a - b) for a, b in zip(local, remote, strict=True) if a is not None and b is not None]
    spread = [value for value in local if value is not None]
    found = f"{len(apart)} of {len(cases)} rated by both, {max(apart, default=math.nan):.1e} apart at most; "
    found += f"ratings {min(spread):.3f} to {max(spread):.3f}"
    return [Finding("ratings of judgments, here and there", found, len(apart) == len(cases) > 0 and max(apart) < 1e-4)]
