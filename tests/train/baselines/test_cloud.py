"""CLoud: the loss against one computed text by text, critiques as the judge asks for them, and what is saved."""

import contextlib
import json
from dataclasses import replace
from hashlib import sha256

import pytest
import torch
from click.testing import CliRunner

from judges.judging import item
from spct.cli import spct
from spct.engines.scripted import ScriptedEngine
from spct.errors import InputError
from spct.items import fingerprint
from spct.judges import load_judge
from spct.judges.critiques import CRITIQUE_REQUEST
from spct.judges.memory import Memory
from spct.judges.settings import judge_settings
from spct.recipe import parse_recipe
from spct.run import RunStore
from spct.train.baselines.cloud import _Collator, load, rows
from spct.train.baselines.critiques import CritiqueJudge
from spct.train.baselines.pairs import Pairs
from spct.train.baselines.recipe import CloudRecipe
from spct.train.common.models import load_trainable
from train import small

ITEM = replace(item(2), best=0)


def critic(request, j):
    return (
        f"<think>{(request.seed + j) % 7}</think>It is {'short' if 'BETA' in request.messages[-1].content else 'so'}."
    )


def recipe(folder, *critiques, **more):
    values = {"model": str(folder / "base"), "data": str(folder / "items.jsonl"), "max_tokens": 256}
    return parse_recipe(CloudRecipe, values | {"critiques": [str(path) for path in critiques]} | more)


def written(path, *texts, key=None):
    """A file of critiques of both responses of ``ITEM``: the texts by turns."""
    said = [{"role": "user", "content": "Say<|end|> it."}]
    found = [
        {"messages": said, "completion": text, "response": i % 2, "fingerprint": key or fingerprint(ITEM)}
        for i, text in enumerate(texts)
    ]
    return small.jsonl(path, found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("cloud")
    small.model(path)
    return path


def made(folder, given):
    trainable = load(given.model, given)
    counts = {"pairs": 0, "too_long": 0}
    return trainable, list(rows(Pairs((ITEM,), (), {}), "train", trainable, given, counts)), counts


def test_the_loss_is_bradley_terry_and_the_critiques_words(folder, tmp_path):
    file = written(tmp_path / "c.jsonl", "Good.", "Bad, since it is short.", "Very good, all of it.", "No.")
    given = recipe(folder, file, critique_weight=0.5)
    trainable, found, counts = made(folder, given)
    assert (len(found), counts) == (2, {"pairs": 2, "too_long": 0, "without_critique": 0})
    batch = _Collator(trainable.tokenizer.pad_token_id)(found)
    outputs = trainable.model(**{name: value for name, value in batch.items() if name != "labels"})
    plain, tokenizer = load_trainable(given.model).model, trainable.tokenizer
    total = 0.0
    for place, texts in enumerate((("Good.", "Bad, since it is short."), ("Very good, all of it.", "No."))):
        scores, losses = [], []
        for response, text in zip(ITEM.responses, texts, strict=True):
            turns = [
                ("user", "Which is best?"),
                ("assistant", response),
                ("user", CRITIQUE_REQUEST),
                ("assistant", text),
            ]
            shown = [{"role": role, "content": content} for role, content in turns]
            ids = tokenizer.apply_chat_template(shown, return_dict=False)
            state = plain.model(torch.tensor([ids])).last_hidden_state[0, -1]
            scores.append(trainable.model.score(state).double().item())
            prompt = tokenizer.apply_chat_template(
                [{"role": "user", "content": "Say<·|end|> it."}], add_generation_prompt=True, return_dict=False
            )
            answer = [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
            logits = plain(torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1].double()
            losses.append(-logits.log_softmax(-1)[range(len(answer)), answer].mean().item())
        margin = torch.tensor(scores[0] - scores[1], dtype=torch.float64)
        assert outputs["margin"][place].item() == pytest.approx(margin.item(), abs=1e-5)
        assert outputs["critique_loss"][place].item() == pytest.approx(sum(losses) / 2, abs=1e-5)
        total += -torch.nn.functional.logsigmoid(margin).item() + 0.5 * sum(losses) / 2
    assert outputs["loss"].item() == pytest.approx(total / 2, abs=1e-5)


def test_a_pair_without_a_critique_of_both_is_left_out(folder, tmp_path):
    one = recipe(folder, written(tmp_path / "one.jsonl", "Good."))
    with pytest.raises(InputError, match="no pair of train has a critique of both responses in .*one.jsonl"):
        made(folder, one)
    other = recipe(folder, written(tmp_path / "other.jsonl", "Good.", "Bad.", key="another item"))
    with pytest.raises(InputError, match="expected what spct train critiques writes for the items of"):
        made(folder, other)
    small.jsonl(tmp_path / "sft.jsonl", [{"messages": [{"role": "user", "content": "q"}], "completion": "c"}])
    with pytest.raises(InputError, match="line 1: got no fingerprint and response"):
        made(folder, recipe(folder, tmp_path / "sft.jsonl"))


async def test_critiques_are_asked_for_as_the_judge_asks():
    class Head:
        model_id, protocol = "own:head", {}

    settings = judge_settings(k=3, seed=5, temperature=0.7)
    own, judges = ScriptedEngine(critic), ScriptedEngine(critic)
    verdict = await CritiqueJudge(own, settings).judge(ITEM)
    with pytest.raises(AttributeError):  # the head comes after the critiques, and this one scores nothing
        await load_judge("cloud", judges, settings, head=Head()).judge(ITEM)
    assert own.requests == judges.requests
    assert [(j.block, j.index, j.order) for j in sorted(verdict.judgments, key=lambda j: (j.block, j.index))] == [
        (response, index, (response,)) for response in range(2) for index in range(3)
    ]
    again = ScriptedEngine(critic)
    half = [judgment for judgment in verdict.judgments if judgment.block == 1 or judgment.index < 2]
    memory = Memory()
    memory.history = half
    resumed = await CritiqueJudge(again, settings).judge(ITEM, memory)
    assert resumed.judgments == verdict.judgments
    assert [(request.n, request.seed) for request in again.requests] == [(1, own.requests[0].seed + 2)]


def test_the_command_writes_the_valid_ones_and_goes_on(tmp_path):
    (tmp_path / "critic.py").write_text(
        "def critic(request, j):\n    return '' if 'dull' in request.messages[-1].content else f'Fine {j}.'\n"
    )
    one = {"id": "a", "prompt": "q", "responses": ["good", "dull", "bad"], "best": 0, "source": "s"}
    single = {"id": "b", "prompt": "q", "responses": ["good"], "label": 1}
    small.jsonl(tmp_path / "one.jsonl", [one, single])
    small.jsonl(tmp_path / "two.jsonl", [{"id": "c", "prompt": "p", "chosen": "good", "rejected": "bad"}])
    command = [
        "train",
        "critiques",
        str(tmp_path / "one.jsonl"),
        str(tmp_path / "two.jsonl"),
        "--out",
        str(tmp_path / "out"),
    ]
    options = ["--model", f"scripted:{tmp_path / 'critic.py'}:critic", "-k", "2", "--retries", "1", "--json"]
    done = CliRunner().invoke(spct, [*command, *options])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["critiques"] == 8
    assert report["sources"]["s"] == {
        "items": 1, "failed_items": 0, "responses": 3, "critiques": 4, "invalid": {"empty": 4}
    }  # fmt: skip
    found = [json.loads(line) for line in (tmp_path / "out" / "critiques.jsonl").read_text().splitlines()]
    assert [row["id"] for row in found] == ["a#0.0", "a#2.0", "a#0.1", "a#2.1", "c#0.0", "c#1.0", "c#0.1", "c#1.1"]
    assert "no score, no verdict" in found[0]["messages"][-1]["content"]
    assert "1 item left out, with one response or no best one" in done.stderr
    with contextlib.closing(RunStore.open(tmp_path / "out" / "run")) as store:
        ((_, facts),) = store.sessions()
    files = [tmp_path / name for name in ("one.jsonl", "two.jsonl")]
    assert facts["input"] == [str(path) for path in files]
    assert facts["input_sha256"] == [sha256(path.read_bytes()).hexdigest() for path in files]
    before = (tmp_path / "out" / "critiques.jsonl").read_bytes()
    again = CliRunner().invoke(spct, [*command, *options, "--resume"])
    assert again.exit_code == 0 and (tmp_path / "out" / "critiques.jsonl").read_bytes() == before
    other = CliRunner().invoke(spct, [*command, *options, "--resume", "--seed", "9"])
    assert type(other.exception).__name__ == "ResumeRefusedError"
