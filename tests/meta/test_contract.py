"""What every meta RM keeps to: a row each."""

import json

import pytest

from meta.judged import cases_of, judgment
from servers.chat import ChatServer
from servers.classify import classifies
from spct.engines.scripted import ScriptedEngine
from spct.meta import METAS, Case, MetaRM, load_meta
from spct.meta.llm import SHIPPED, LLMMeta
from spct.templates import load_template
from spct.voting.ratings import Rating


@pytest.fixture(params=["classifier", "remote", "llm", "oracle", "random"])
async def meta(request, tmp_path):
    if request.param == "classifier":
        pytest.importorskip("transformers")
        from meta.test_classifier import save_classifier

        yield load_meta(f"classifier:{save_classifier(tmp_path, 'llama')}")
    elif request.param == "remote":
        async with ChatServer(classifies(lambda prompt, answer: [float(len(answer))])) as server:
            yield load_meta("remote:m", base_url=server.base_url, api_key="verysecret")
    elif request.param == "llm":
        yield LLMMeta(ScriptedEngine(lambda r, j: f"\\boxed{{{1 + len(r.messages[0].content) % 10}}}"))
    else:
        yield load_meta(request.param)


def test_every_kind_has_a_row():
    assert set(METAS) == {"classifier", "remote", "llm", "oracle", "random"}


async def test_contract(meta: MetaRM):
    cases = cases_of([judgment(i, (3, 9), text="word " * (1 + 3 * i)) for i in range(5)])
    assert all(isinstance(case, Case) for case in cases)
    await meta.start()
    await meta.start()
    ratings = await meta.rate(cases)
    assert all(isinstance(rating, Rating) and rating.problem is None for rating in ratings)
    reversed_ratings = await meta.rate(cases[::-1])
    assert [r.value for r in reversed_ratings[::-1]] == pytest.approx([r.value for r in ratings], abs=1e-4)
    assert await meta.rate([]) == []
    assert ":" in meta.model_id
    assert isinstance(meta.special_tokens, tuple)
    assert "verysecret" not in json.dumps([dict(meta.configuration), meta.notes], allow_nan=False)
    assert all(isinstance(note, str) and note for note in meta.notes)
    await meta.close()
    await meta.close()


@pytest.mark.parametrize("kind", ["classifier", "remote", "llm"])
def test_the_prompt_that_a_meta_rm_was_told_to_read_is_kept_whole(kind, tmp_path):
    name = "meta-rm" if kind != "llm" else str(tmp_path / "own.jinja")
    (tmp_path / "own.jinja").write_text(SHIPPED.read_text("utf-8").replace("judgment", "opinion"), "utf-8")
    if kind == "classifier":
        pytest.importorskip("transformers")
    options = {"base_url": "http://127.0.0.1:1"} if kind == "remote" else {}
    meta = load_meta(f"{kind}:m" if kind != "llm" else "llm:openai:m", template=name, **options)
    kept = meta.configuration["prompt"]
    told = load_template(name)
    assert (kept["name"], kept["digest"], kept["texts"]) == (told.name, told.digest, dict(told.texts))
    if kind == "remote":
        assert meta.configuration["server"] == "http://127.0.0.1:1/"
