"""What every kind of judge keeps to: store, resume, ballots, and saying what it is."""

import contextlib
import json
from dataclasses import replace

import pytest

from judges.judging import index_sample, item, logprob_engine, names_best, shown
from judges.test_cloud import ReadsNumbers, critic
from judges.test_pairrm import Margins
from judges.test_scalar import Lengths
from rubrics.samples import of
from spct.bench.scoring.ballots import ballots_of
from spct.bench.suites.grading import means_of
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import InputError, ResumeRefusedError
from spct.judges import JUDGES, judge_options, load_judge
from spct.judges.settings import judge_settings
from spct.run import RunStore, check_same, judge_items, open_run
from spct.run.stored import stored_items, stored_scale, stored_settings

QUALITY = [3, 9, 5, 1, 7]


def scores(request, j):
    return judgment_text([QUALITY[i] for i in shown(request)])


def probabilities(request, j):
    places = [QUALITY[i] for i in shown(request)]
    return index_sample([value / sum(places) for value in places], 1)


RUBRIC = of(
    {"id": "good", "kind": "scale", "scale": [1, 9], "weight": 2},
    {"id": "even", "weight": -1, "k": 3},
    {"id": "short", "check": {"max_chars": 5}},
)


def of_each_criterion(request, j):
    good = "Is it good?" in request.messages[-1].content
    return judgment_text([QUALITY[i] if good else (i + request.seed + j) % 2 for i in shown(request)])


MODELS = {
    "grm": lambda: ScriptedEngine(scores),
    "llm-judge": lambda: ScriptedEngine(names_best(QUALITY)),
    "token-prob": lambda: logprob_engine(probabilities),
    "pairwise": lambda: ScriptedEngine(names_best(QUALITY)),
    "rubric": lambda: ScriptedEngine(of_each_criterion),
    "cloud": lambda: ScriptedEngine(critic),
    "scalar": Lengths,
    "pairrm": lambda: Margins(tuple(QUALITY)),
    "random": lambda: None,
    "first": lambda: None,
    "longest": lambda: None,
    "shortest": lambda: None,
}
ITEMS = [item(n, id=f"{n} of {m}") for m in range(3) for n in (2, 3, 5)]


def test_every_kind_is_here():
    assert list(MODELS) == list(JUDGES)


def made(kind, model=None, **settings):
    options = {"head": ReadsNumbers()} if kind == "cloud" else {}
    if kind == "rubric":
        settings["rubric"] = RUBRIC
    return load_judge(kind, model or MODELS[kind](), judge_settings(**settings), **options)


async def run(kind, items, store=None, **settings):
    judge = made(kind, **settings)
    await judge.engine.start()
    in_flight = judge.engine.capabilities.concurrency
    outcomes = [outcome async for outcome in judge_items(judge, items, in_flight=in_flight, store=store)]
    await judge.engine.close()
    return [outcome.verdict for outcome in outcomes], judge


def rows(verdicts):
    return [verdict.as_row() for verdict in verdicts]


@pytest.mark.parametrize("kind", JUDGES)
async def test_a_resumed_run_is_the_run_and_asks_nothing_twice(kind, tmp_path):
    whole, _ = await run(kind, ITEMS, k=4)
    assert all(verdict.error is None for verdict in whole)
    store = RunStore.create(tmp_path, {})
    await run(kind, ITEMS[:4], store, k=4)
    resumed, _ = await run(kind, ITEMS, store, k=4)
    assert rows(resumed) == rows(whole)
    counts = store.count("judgments"), store.usage()
    again, judge = await run(kind, ITEMS, store, k=4)
    assert rows(again) == rows(whole)
    assert (store.count("judgments"), store.usage()) == counts
    assert not getattr(judge.engine, "requests", []) and not getattr(judge.engine, "seen", [])


@pytest.mark.parametrize("kind", JUDGES)
async def test_raising_k_is_asking_for_it_at_once(kind, tmp_path):
    whole, _ = await run(kind, ITEMS, k=6)
    store = RunStore.create(tmp_path, {})
    await run(kind, ITEMS, store, k=2)
    assert rows((await run(kind, ITEMS, store, k=6))[0]) == rows(whole)


@pytest.mark.parametrize("kind", JUDGES)
async def test_ballots_and_stored_verdicts_say_what_the_run_said(kind, tmp_path):
    store = RunStore.create(tmp_path, {"settings": json.dumps(made(kind, k=4).describe())})
    verdicts, judge = await run(kind, ITEMS, store, k=4)
    store.flush()
    ballots = ballots_of(store)
    for verdict, asked in zip(verdicts, ITEMS, strict=True):
        assert means_of(ballots[asked.id]) == pytest.approx(verdict.means)
        assert len(ballots[asked.id]) == judge.settings.k
    _, settings = stored_settings(store)
    assert (settings.k, settings.rule) == (judge.settings.k, judge.settings.rule)
    assert [stored.verdict.totals for stored in stored_items(store, settings)] == [v.totals for v in verdicts]


@pytest.mark.parametrize("kind", JUDGES)
def test_what_a_judge_is_can_be_written_down_and_compared(kind):
    described = made(kind, k=2).describe()
    assert json.loads(json.dumps(described)) == described
    assert described["k"] == made(kind, k=2).settings.k
    check_same(described, made(kind, k=2).describe())
    with pytest.raises(ResumeRefusedError, match="seed: 0 in the run, 1 now"):
        check_same(described, made(kind, k=2, seed=1).describe())


@pytest.mark.parametrize("can", [None, "gbnf"])
@pytest.mark.parametrize("kind", [kind for kind in JUDGES if JUDGES[kind].needs == "engine"])
async def test_the_grammar_written_down_is_the_one_in_effect(kind, can):
    plain = MODELS[kind]()
    model = ScriptedEngine(plain._function, capabilities=replace(plain.capabilities, grammar=can))
    judge = made(kind, model, k=2)
    assert (await judge.judge(ITEMS[1])).best is not None
    held = {request.grammar is not None for request in model.requests}
    assert held == {judge.describe().get("grammar") is not None}
    assert judge.describe().get("grammar") in (None, can)
    assert made(kind, model, grammar=False).describe().get("grammar") is None


@pytest.mark.parametrize("kind", [kind for kind in JUDGES if JUDGES[kind].needs == "engine"])
def test_a_run_keeps_the_text_of_every_template_that_its_settings_name(kind, tmp_path):
    judge = made(kind)
    digests = {value for name, value in judge.describe().items() if name.startswith("template.")}
    assert digests
    with contextlib.closing(open_run(tmp_path, judge, resume=False)) as store:
        kept = store.templates()
        assert digests <= {template.digest for template in kept.values()}
        assert {n: t.texts for n, t in kept.items()} == {n: t.texts for n, t in judge.templates.items()}
        _, settings = stored_settings(store)
        on_no_scale = kind in ("pairwise", "cloud")  # points, and whatever a head gives: not the template's scores
        assert (stored_scale(store, settings) is None) == on_no_scale


def test_no_two_kinds_are_taken_for_each_other():
    described = [json.dumps(made(kind).describe(), sort_keys=True) for kind in JUDGES]
    assert len(set(described)) == len(JUDGES)


def test_unknown_kinds_models_and_options_are_named():
    with pytest.raises(InputError, match="judge 'best': expected one of grm, llm-judge"):
        load_judge("best", ScriptedEngine([]))
    with pytest.raises(InputError, match="judge 'scalar' needs a model"):
        load_judge("scalar")
    with pytest.raises(InputError, match="judge 'random' asks no model and takes no options; got the model 'openai:x'"):
        load_judge("random", "openai:x")
    with pytest.raises(InputError, match="judge 'pairwise' takes no option threads; its own are: tournament"):
        load_judge("pairwise", ScriptedEngine([]), threads=2)
    with pytest.raises(InputError, match="takes no threads"):
        load_judge("pairwise", "openai:x", threads=2)
    with pytest.raises(InputError, match="judge 'pairwise' takes no meta RM"):
        load_judge("pairwise", ScriptedEngine([]), meta=object())
    assert judge_options("cloud") == {"head", "head_options"}
    assert judge_options("grm") == frozenset()


def test_a_judge_of_ones_own_is_named_by_its_class():
    judge = load_judge("spct.judges.pairwise:PairwiseJudge", ScriptedEngine([]), tournament="knockout")
    assert judge.describe()["tournament"] == "knockout"
    with pytest.raises(InputError, match="cannot import no.such:Judge"):
        load_judge("no.such:Judge", ScriptedEngine([]))
