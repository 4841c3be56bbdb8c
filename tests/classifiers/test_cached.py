"""Numbers of scalar models over runs: asked for once, by their texts and by what the model is."""

import pytest

from spct.classifiers import load_pairs, load_scorer
from spct.classifiers.classifier import Pair, Score
from spct.types import Message

MODEL = """
from spct.classifiers.classifier import Score
from spct.engines.engine import Capabilities

ASKED = []

class Model:
    protocol = {"form": "plain"}
    capabilities = Capabilities()
    notes = ()

    def __init__(self, name, *, device="cpu"):
        self.model_id, self.configuration = name, {"device": device}

    async def start(self): pass
    async def close(self): pass

    async def score(self, texts):
        ASKED.extend(texts)
        return [Score(None, "no number") if "?" in t[-1].content else Score(len(t[-1].content) + 0.1) for t in texts]

    async def compare(self, texts):
        ASKED.extend(texts)
        return [Score(float(len(t.first) - len(t.second)), text="why", prompt_tokens=3) for t in texts]
"""
QUERY = (Message("user", "Why?"),)


def said(*answers):
    return [(*QUERY, Message("assistant", answer)) for answer in answers]


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    return f"{tmp_path / 'model.py'}:Model:"


async def asked(model, how, texts):
    """The scores, what reached the model, and its notes."""
    await model.start()
    scores = await getattr(model, how)(texts)
    reached = type(model._model).__init__.__globals__["ASKED"]
    found = (scores, len(reached), model.notes)
    reached.clear()
    await model.close()
    return found


async def test_a_conversation_is_scored_once(tmp_path, spec):
    first = await asked(load_scorer(f"{spec}m", cache=tmp_path / "cache"), "score", said("a", "bb", "a"))
    assert first == ([Score(1.1), Score(2.1), Score(1.1)], 2, ("cache: 1 of 3 numbers were there already",))
    again = await asked(load_scorer(f"{spec}m", cache=tmp_path / "cache"), "score", said("bb", "ccc"))
    assert again == ([Score(2.1), Score(3.1)], 1, ("cache: 1 of 2 numbers were there already",))


@pytest.mark.parametrize("name, options", [("n", {}), ("m", {"device": "cuda"})])
async def test_another_model_has_numbers_of_its_own(tmp_path, spec, name, options):
    await asked(load_scorer(f"{spec}m", cache=tmp_path / "cache"), "score", said("a"))
    _, reached, _ = await asked(load_scorer(f"{spec}{name}", cache=tmp_path / "cache", **options), "score", said("a"))
    assert reached == 1


async def test_an_answer_without_a_number_is_asked_for_again(tmp_path, spec):
    for _ in range(2):
        scores, reached, _ = await asked(load_scorer(f"{spec}m", cache=tmp_path / "cache"), "score", said("what?"))
        assert scores == [Score(None, "no number")] and reached == 1


async def test_pairs_are_known_by_both_texts_in_their_order(tmp_path, spec):
    pairs = [Pair(QUERY, "aa", "b"), Pair(QUERY, "b", "aa")]
    first = await asked(load_pairs(f"{spec}m", cache=tmp_path / "cache"), "compare", pairs)
    assert first[0] == [Score(1.0, text="why", prompt_tokens=3), Score(-1.0, text="why", prompt_tokens=3)]
    again = await asked(load_pairs(f"{spec}m", cache=tmp_path / "cache"), "compare", pairs)
    assert again[0] == first[0] and again[1] == 0
