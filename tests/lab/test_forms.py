"""Prompts and judgments of the laboratory: what the base reads in pre-training is what the templates render."""

from itertools import islice
from random import Random

import pytest

pytest.importorskip("transformers")

from benchmarks.spct_lab import crowd, model, pretrain, world
from benchmarks.spct_lab.recipe import MAX_NEW, judged

from spct.items import parse_item
from spct.templates import load_template
from spct.train.rft.hints import HintedTemplate

CASES = list(islice(world.cases(0, heldout=False), 40))


@pytest.mark.parametrize(("name", "form"), [("judge", crowd.Form(True)), ("direct", crowd.Form(False))])
def test_the_templates_render_the_prompts_of_pretraining(name, form):
    names = judged(name)
    special = [model.END, model.USER, model.ASSISTANT]
    for case in CASES:
        item = parse_item(case.row("i"), where="here")
        plain = load_template(names["single_template" if len(case.responses) == 1 else "template"])
        order = range(len(case.responses))
        for template, hint in ((plain, None), (HintedTemplate(plain), crowd.hint_text(case))):
            (message,) = template.render(item, order, special_tokens=special)
            assert message.content.split() == crowd.prompt_text(case, form=form, hint=hint).split()


def test_the_tokenizer_knows_every_word_and_gives_it_back():
    tokenizer, draw = model.make_tokenizer(), Random(0)
    for case in CASES:
        for form in (crowd.Form(True), crowd.Form(False)):
            text = crowd.judgment_text(draw, case, form=form)
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            assert tokenizer.unk_token_id not in ids
            assert tokenizer.decode(ids) == text
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": crowd.prompt_text(CASES[3], form=crowd.Form())}], add_generation_prompt=True
    )["input_ids"]
    assert tokenizer.unk_token_id not in prompt


def test_pretraining_reads_the_tokens_that_judging_sends():
    tokenizer = model.make_tokenizer()
    ids, start = list(pretrain.examples(pretrain.Pretraining(texts=100, seed=3)))[-1]
    text = tokenizer.decode(ids[:start])
    assert text.startswith(f"{model.USER} judge : ") and text.endswith(f"{model.END} {model.ASSISTANT}")
    asked = text.removeprefix(f"{model.USER} ").removesuffix(f" {model.END} {model.ASSISTANT}")
    turns = [{"role": "user", "content": asked}]
    assert tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"] == ids[:start]
    assert ids[-1] == tokenizer.eos_token_id


def test_everything_fits():
    sizes = [(len(ids), len(ids) - start) for ids, start in pretrain.examples(pretrain.Pretraining(texts=3000))]
    assert max(whole for whole, _ in sizes) <= model.Size().context
    assert max(judgment for _, judgment in sizes) <= MAX_NEW


def test_queries_that_are_held_out_are_not_pretrained_on():
    tokenizer = model.make_tokenizer()
    texts = [tokenizer.decode(ids[:start]) for ids, start in pretrain.examples(pretrain.Pretraining(texts=2000))]
    held = {world.query_text(case.query) for case in islice(world.cases(5, heldout=True), 2000)}
    assert not held & {text.split(" : ", 1)[1].split(" . ", 1)[0] for text in texts}


def test_parse_gives_what_an_author_put_into_the_box():
    template = load_template(judged("judge")["template"])
    case = CASES[3]
    parsed = template.parse(crowd.exact_judgment(case, form=crowd.Form()), 4)
    assert list(parsed.scores) == case.worth
