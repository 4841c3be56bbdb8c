from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from engines.tiny_models import FAMILIES, save_model  # noqa: E402
from spct.engines.torch_sampling import Generation, _choose, _draw, _nucleus, may_pad, sample_rows  # noqa: E402

SHORT, LONG = [100, 7, 9, 30, 20], [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]


def never(row: Generation) -> bool:
    return False


def sampled(model, prompts, rows, batch=8, eos=frozenset()):
    sample_rows(model, prompts, rows, batch=batch, eos=eos, dropped=never)
    return [row.tokens for row in rows]


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_equals_generate_in_every_family(tmp_path: Path, family: str) -> None:
    """Whatever the cache holds: full, sliding or recurrent; with padding and in parts of a batch where it may be."""
    model = transformers.AutoModelForCausalLM.from_pretrained(save_model(tmp_path, family)).eval()
    prompts = [LONG, SHORT] if may_pad(model) else [LONG]
    expected = []
    for prompt in prompts:
        out = model.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False, eos_token_id=None)
        expected.append(out[0].tolist()[len(prompt) :])
    rows = [Generation(place % len(prompts), seed=0, temperature=0, top_p=1, max_tokens=20) for place in range(5)]
    assert sampled(model, prompts, rows, batch=3) == [expected[row.prompt] for row in rows]
    assert may_pad(model) == (family not in ("lfm2", "qwen3_next"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory):
    return transformers.AutoModelForCausalLM.from_pretrained(save_model(tmp_path_factory.mktemp("llama"))).eval()


def test_a_row_depends_on_its_own_seed_only(model) -> None:
    together = [Generation(i % 2, seed, 0.8, 0.9 if seed % 3 else 1, 12, top=2) for i, seed in enumerate(range(40, 48))]
    sampled(model, [LONG, SHORT], together)
    for row in together:
        alone = Generation(0, row.seed, row.temperature, row.top_p, 12)
        assert sampled(model, [[LONG, SHORT][row.prompt]], [alone]) == [row.tokens]
    assert len({tuple(row.tokens) for row in together}) == 8


def test_rows_end_at_eos_at_their_limit_or_when_dropped(model) -> None:
    greedy = sampled(model, [SHORT], [Generation(0, 0, 0, 1, 10)])[0]
    eos = greedy[4]
    rows = [Generation(0, 0, 0, 1, 10), Generation(0, 0, 0, 1, 2), Generation(0, 0, 0, 1, 10)]
    sample_rows(model, [SHORT], rows, batch=8, eos=frozenset([eos]), dropped=lambda row: row is rows[2])
    assert [(row.tokens, row.finish) for row in rows] == [
        (greedy[: greedy.index(eos)], "stop"),
        (greedy[:2], "length"),
        (greedy[:1], None),
    ]


def test_logprobs_are_those_of_a_plain_forward_pass(model) -> None:
    row = Generation(0, 3, 1.7, 0.8, 6, top=3)
    sampled(model, [SHORT], [row])
    with torch.no_grad():
        logits = model(torch.tensor([SHORT + row.tokens])).logits[0].float().log_softmax(-1)
    for t, (token, (logprob, top)) in enumerate(zip(row.tokens, row.logprobs, strict=True)):
        at = logits[len(SHORT) - 1 + t]
        assert logprob == pytest.approx(float(at[token]), abs=1e-4)
        assert [pair[0] for pair in top] == at.topk(3).indices.tolist()
        assert [pair[1] for pair in top] == pytest.approx(at.topk(3).values.tolist(), abs=1e-4)


def test_a_draw_is_the_inverse_of_the_cumulative_distribution() -> None:
    weights = torch.tensor([[0.0, 0.2, 0.0, 0.8]], dtype=torch.float64).cumsum(-1)
    drawn = {u: int(_draw(weights, torch.tensor([u], dtype=torch.float64))) for u in (0.0, 0.199, 0.2, 0.5, 1 - 1e-16)}
    assert drawn == {0.0: 1, 0.199: 1, 0.2: 3, 0.5: 3, 1 - 1e-16: 3}


@pytest.mark.parametrize(
    ("top_p", "allowed"), [(0.0, {2}), (0.49, {2}), (0.51, {2, 0}), (0.81, {2, 0, 3}), (1.0, {0, 1, 2, 3})]
)
def test_top_p_keeps_the_token_that_crosses_it(top_p: float, allowed: set[int]) -> None:
    probabilities = torch.tensor([[0.3, 0.05, 0.5, 0.15], [0.25, 0.25, 0.25, 0.25]])
    kept = _nucleus(probabilities, torch.tensor([top_p, 1.0], dtype=torch.float64))
    assert kept[0].tolist() == [p if i in allowed else 0 for i, p in enumerate(probabilities[0].tolist())]
    assert kept[1].tolist() == [0.25] * 4


def test_top_p_beyond_the_usual_candidates() -> None:
    falling = torch.linspace(2, 1, 4000)[None].softmax(-1)
    kept = int((_nucleus(falling, torch.tensor([0.9], dtype=torch.float64)) > 0).sum())
    total = falling.double().cumsum(-1)[0]
    assert total[kept - 2] < 0.9 <= total[kept - 1]


def test_frequencies_follow_the_temperature() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0]]).repeat(2000, 1)
    tokens = _choose(logits, [Generation(0, seed, 0.5, 1.0, 1) for seed in range(2000)])
    expected = (logits[0] / 0.5).softmax(-1).tolist()
    assert [tokens.count(i) / 2000 for i in range(3)] == pytest.approx(expected, abs=0.03)


def test_greedy_and_sampled_rows_share_a_batch() -> None:
    logits = torch.tensor([[0.0, 0.1], [0.0, 30.0]])
    assert _choose(logits, [Generation(0, 0, 0, 1, 1), Generation(0, 0, 1, 1, 1)]) == [1, 1]
