"""The too-easy filter, with scripted weak models."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from spct.engines import Sample, SampleBatch
from spct.engines.engine import Capabilities
from spct.errors import EngineError, InputError, ResumeRefusedError
from spct.run import RunStore
from spct.train.rl.easy import leave_out_easy
from spct.train.rl.judging import Asking
from spct.types import Item, Message, Usage

ASKING = Asking("grm", "grm-single", k=3, temperature=0.5, max_tokens=64, seed=0)


class Weak:
    """Right about an item as many times of three as its query says; ``limit`` requests, then the server is gone."""

    model_id = "scripted:weak"
    capabilities = Capabilities(concurrency=1)
    notes: Sequence[str] = ()
    configuration: Mapping[str, Any] = {}

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.asked = 0
        self.right: dict[str, int] = {}

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def count_tokens(self, messages) -> int | None:
        return None

    async def sample(self, request) -> SampleBatch:
        if self.limit is not None and self.asked >= self.limit:
            raise EngineError("gone")
        self.asked += 1
        text = "\n".join(message.content for message in request.messages)
        _, name, wanted, *_ = text[text.index("ask:") :].split(":")
        samples = []
        for ordinal in range(request.n):
            told = self.right.get(name, 0) < int(wanted)
            self.right[name] = self.right.get(name, 0) + 1
            samples.append(Sample(answer(text, told), "stop", request.seed + ordinal))
        return SampleBatch(tuple(samples), Usage(requests=1))


def answer(prompt: str, right: bool) -> str:
    if "[Begin response 2" not in prompt:
        good = "good" in prompt.split("[Begin response 1")[1]
        return rf"\boxed{{{int(good == right)}}}"
    first = "good" in prompt.split("[Begin response 1")[1].split("[End response 1")[0]
    return r"\boxed{9, 1}" if first == right else r"\boxed{4, 4}" if not right else r"\boxed{1, 9}"


def item(name: str, right: int, *responses: str) -> Item:
    query = (Message("user", f"ask:{name}:{right}:"),)
    if len(responses) == 1:
        return Item(name, query, responses, rewards_N=(float(responses[0] == "good"),))
    return Item(name, query, responses, best=responses.index("good"))


ITEMS = [
    item("a", 3, "good", "bad"),
    item("b", 2, "bad", "good"),
    item("c", 3, "good"),
    item("d", 0, "bad"),
    item("e", 3, "bad"),
    item("f", 1, "good", "bad"),
]


def sift(engine, path: Path, items=ITEMS, asking=ASKING):
    return asyncio.run(leave_out_easy(engine, items, asking, out=path))


def test_items_that_are_right_three_of_three_times_are_left_out(tmp_path: Path) -> None:
    sifted = sift(Weak(), tmp_path)
    assert [ITEMS[place].id for place in sifted.kept] == ["b", "d", "f"]
    assert (sifted.easy, sifted.unjudged) == (3, 0)


def test_a_stopped_filter_asks_only_for_the_rest(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="gone"):
        sift(Weak(limit=5), tmp_path)
    again = Weak()
    # What "right" counts is per model, so go on with items whose answers do not depend on the count.
    sifted = sift(again, tmp_path)
    whole = Weak()
    sift(whole, tmp_path / "whole")
    assert 0 < again.asked < whole.asked
    store = RunStore.open(tmp_path)
    assert store.count("judgments") == 18
    store.close()
    assert {"a", "c", "e"}.isdisjoint(ITEMS[place].id for place in sifted.kept)


def test_a_filter_of_other_settings_or_items_is_refused(tmp_path: Path) -> None:
    sift(Weak(), tmp_path)
    with pytest.raises(ResumeRefusedError):
        sift(Weak(), tmp_path, asking=Asking("grm", "grm-single", 3, 0.7, 64, 0))
    with pytest.raises(ResumeRefusedError):
        sift(Weak(), tmp_path, items=ITEMS[1:])


def test_a_file_of_easy_items_only_is_an_error(tmp_path: Path) -> None:
    from spct.recipe import parse_recipe
    from spct.train.rl.prompts import Templates
    from spct.train.rl.recipe import RLRecipe
    from spct.train.rl.selection import training_items

    rows = '{"prompt": "Which?", "responses": ["good", "bad"], "best": 0}\n'
    (tmp_path / "items.jsonl").write_text(rows)
    values = {"model": "m", "data": str(tmp_path / "items.jsonl")}
    too_easy = {"model": "train.rl.test_easy:AlwaysRight:x", "k": 2}
    recipe = parse_recipe(RLRecipe, {**values, "too_easy": too_easy})
    lines: list[str] = []
    with pytest.raises(InputError, match="judges all 1 items of .* right 2 of 2 times: nothing is left to learn"):
        training_items(recipe, Templates(), tmp_path / "out", lines.append)
    assert "1 of 1 items are too easy" in lines[-1]
    with contextlib.closing(RunStore.open(tmp_path / "out" / "too_easy")) as store:
        ((_, facts),) = store.sessions()
    assert (facts["input"], facts["items"]) == (str(tmp_path / "items.jsonl"), 1)
    assert facts["input_sha256"] == sha256(rows.encode()).hexdigest()
    with pytest.raises(InputError, match="nothing is left"):  # from what is kept, without the model
        training_items(recipe, Templates(), tmp_path / "out", lines.append)


class AlwaysRight(Weak):
    def __init__(self, name: str) -> None:
        super().__init__()

    async def sample(self, request) -> SampleBatch:
        text = "\n".join(message.content for message in request.messages)
        samples = tuple(Sample(answer(text, True), "stop", request.seed + j) for j in range(request.n))
        return SampleBatch(samples, Usage(requests=1))
