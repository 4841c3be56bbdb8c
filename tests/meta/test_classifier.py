import json
import shutil

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from engines.tiny_models import FAMILIES, SIZES, save_model, save_tokenizer
from meta.judged import cases_of, judgment
from spct.errors import EngineError, InputError, RequestError, WeightsError
from spct.meta import load_meta
from spct.meta.classifier import ClassifierMeta
from spct.meta.prompt import keep_prompt, load_prompt, turns_of

GEMMA2 = SIZES | {"head_dim": 8, "sliding_window": 4096, "max_position_embeddings": 8192}
LLAMA = FAMILIES["llama"] | {"max_position_embeddings": 8192}


def save_classifier(path, family="gemma2", labels=1, pad=None, **sizes):
    """A random classifier in the form of the released meta RM: its head's weights are large, so ratings differ."""
    size = save_tokenizer(path)
    torch.manual_seed(1)
    shape = (GEMMA2 if family == "gemma2" else LLAMA) | sizes
    config = AutoConfig.for_model(
        family, vocab_size=size, num_labels=labels, pad_token_id=pad, bos_token_id=None, initializer_range=0.3, **shape
    )
    model = AutoModelForSequenceClassification.from_config(config)
    model.save_pretrained(path)
    return path


def judgments(*lengths):
    return [judgment(i, (3, 9), text=f"Judgment {i}. " + "so " * length) for i, length in enumerate(lengths)]


def by_hand(path, case, prompt=None):
    """The logits as the library's users compute them: one text, no padding."""
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForSequenceClassification.from_pretrained(path).eval()
    turns = [{"role": m.role, "content": m.content} for m in turns_of(case, prompt, ())]
    ids = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=False)
    with torch.inference_mode():
        return model(input_ids=ids).logits[0]


@pytest.fixture(scope="module")
def gemma2(tmp_path_factory):
    return save_classifier(tmp_path_factory.mktemp("gemma2"))


async def rated(path, cases, **options):
    meta = ClassifierMeta(str(path), **options)
    await meta.start()
    try:
        return await meta.rate(cases)
    finally:
        await meta.close()


async def test_gemma2_with_one_label_gives_the_sigmoid_of_the_logit(gemma2):
    assert json.loads((gemma2 / "config.json").read_text())["architectures"] == ["Gemma2ForSequenceClassification"]
    cases = cases_of(judgments(0, 30, 5))
    ratings = await rated(gemma2, cases)
    expected = [torch.sigmoid(by_hand(gemma2, case)[0]).item() for case in cases]
    assert [rating.value for rating in ratings] == pytest.approx(expected, abs=1e-4)
    assert len({round(value, 3) for value in expected}) == 3


async def test_a_prompt_of_its_own_named_or_kept_in_its_folder(gemma2, tmp_path):
    cases, prompt = cases_of(judgments(0, 30)), load_prompt("meta-rm")
    own = [torch.sigmoid(by_hand(gemma2, case, prompt)[0]).item() for case in cases]
    judges = [torch.sigmoid(by_hand(gemma2, case)[0]).item() for case in cases]
    assert abs(own[0] - judges[0]) > 1e-3
    assert [r.value for r in await rated(gemma2, cases, template="meta-rm")] == pytest.approx(own, abs=1e-4)
    folder = shutil.copytree(gemma2, tmp_path / "trained")
    keep_prompt(prompt, folder)
    assert [r.value for r in await rated(folder, cases)] == pytest.approx(own, abs=1e-4)
    named = load_meta(f"classifier:{gemma2}", template="meta-rm").model_id
    assert named == f"classifier:{gemma2} template meta-rm {prompt.digest[:8]}"
    assert load_meta(f"classifier:{folder}").model_id == f"classifier:{folder}"


async def test_batches_padded_to_different_lengths_agree(gemma2):
    cases = cases_of(judgments(0, 30, 5, 61, 2))
    together = await rated(gemma2, cases, batch=5)
    alone = await rated(gemma2, cases, batch=1)
    assert [r.value for r in together] == pytest.approx([r.value for r in alone], abs=1e-4)


async def test_two_labels_give_the_probability_of_label_1(tmp_path):
    path = save_classifier(tmp_path, "llama", labels=2)
    cases = cases_of(judgments(0, 9))
    ratings = await rated(path, cases)
    expected = [torch.softmax(by_hand(path, case), 0)[1].item() for case in cases]
    assert [rating.value for rating in ratings] == pytest.approx(expected, abs=1e-4)


async def test_a_padding_token_of_the_checkpoint_is_used_as_it_says(tmp_path):
    path = save_classifier(tmp_path, "llama", pad=5)
    cases = cases_of(judgments(0, 9, 40))
    together = await rated(path, cases, batch=3)
    assert [r.value for r in together] == pytest.approx([r.value for r in await rated(path, cases, batch=1)], abs=1e-4)


async def test_what_is_too_long_is_not_cut_but_unrated(tmp_path):
    path = save_classifier(tmp_path, "llama", max_position_embeddings=4000)
    short, long = await rated(path, cases_of(judgments(0, 2000)))
    assert short.value is not None
    assert long.value is None
    assert "the meta RM reads at most 4000" in long.problem
    (limited,) = await rated(path, cases_of(judgments(0)), context_tokens=10)
    assert limited.value is None
    assert "the meta RM reads at most 10" in limited.problem


async def test_control_tokens_of_its_tokenizer_are_known_once_started(gemma2):
    meta = load_meta(f"classifier:{gemma2}")
    assert meta.special_tokens == ()
    await meta.start()
    assert {"<|end|>", "<|user|>", "<|assistant|>"} <= set(meta.special_tokens)
    await meta.close()
    assert meta.model_id == f"classifier:{gemma2}"


async def test_a_chat_model_without_a_trained_head_is_refused(tmp_path):
    path = save_model(tmp_path)
    with pytest.raises(WeightsError, match=r"holds no weights for score\.weight"):
        await ClassifierMeta(str(path)).start()


async def test_three_labels_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="has 3 labels; expected 1"):
        await ClassifierMeta(str(save_classifier(tmp_path, "llama", labels=3))).start()


async def test_without_a_chat_template_it_is_refused(tmp_path):
    path = save_classifier(tmp_path, "llama")
    save_tokenizer(path, None)
    (path / "chat_template.jinja").unlink(missing_ok=True)
    with pytest.raises(EngineError, match="no chat template"):
        await ClassifierMeta(str(path)).start()


async def test_a_chat_template_that_refuses_the_turns_ends_the_rating(tmp_path):
    path = save_classifier(tmp_path, "llama")
    (path / "chat_template.jinja").write_text("{{ raise_exception('no turns of an assistant') }}")
    with pytest.raises(EngineError, match="refuses turns of user, assistant: no turns of an assistant") as caught:
        await rated(path, cases_of(judgments(0)))
    assert not isinstance(caught.value, RequestError)


async def test_nothing_there(tmp_path):
    with pytest.raises(WeightsError, match="cannot be loaded as a sequence classifier"):
        await ClassifierMeta(str(tmp_path / "none")).start()


def test_options_are_checked():
    with pytest.raises(InputError, match="batch 0: expected at least 1"):
        load_meta("classifier:x", batch=0)
    with pytest.raises(InputError, match="dtype 'int8'"):
        load_meta("classifier:x", dtype="int8")
