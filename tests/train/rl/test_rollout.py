from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from engines.tiny_models import FAMILIES, save_model  # noqa: E402
from spct.train.rl.rollout import RolloutSettings, _chunks, roll_out, rollout_seed  # noqa: E402

LONG, SHORT = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14], [100, 7, 9, 30]
GREEDY = RolloutSettings(temperature=1e-6, max_tokens=12, batch=8, eos=frozenset())
WARM = RolloutSettings(temperature=1.0, max_tokens=12, batch=8, eos=frozenset())


def load(path: Path, family: str = "llama"):
    return transformers.AutoModelForCausalLM.from_pretrained(save_model(path, family)).train()


@pytest.mark.parametrize("family", ["llama", "mistral", "gpt2", "lfm2"])
def test_cold_rollouts_are_those_of_plain_generate(tmp_path: Path, family: str) -> None:
    """Groups of equal prompts, of two lengths, for caches of every kind."""
    assert family in FAMILIES
    model = load(tmp_path, family)
    prompts = [LONG] * 3 + [SHORT] * 3
    found = roll_out(model, prompts, range(6), GREEDY)
    model.eval()
    for prompt, tokens in zip(prompts, found, strict=True):
        plain = model.generate(torch.tensor([prompt]), max_new_tokens=12, do_sample=False, eos_token_id=None)
        assert plain[0].tolist()[len(prompt) :] == tokens


def test_the_logits_sampled_from_are_those_of_plain_generate(tmp_path: Path) -> None:
    """Shared prefix or not: at every step the probability of the drawn token agrees but for rounding."""
    from spct.engines.torch_sampling import Generation, sample_rows

    model = load(tmp_path).eval()
    rows = [Generation(0, seed, 1.0, 1.0, 12, top=1) for seed in range(4)]
    sample_rows(model, [LONG], rows, batch=8, eos=frozenset(), dropped=lambda row: False)
    for row in rows:
        forced = model.generate(
            torch.tensor([LONG]), max_new_tokens=12, do_sample=False, eos_token_id=None, output_logits=True,
            return_dict_in_generate=True, prefix_allowed_tokens_fn=lambda _, ids, row=row: [row.tokens[len(ids) - 10]],
        )  # fmt: skip
        assert forced.sequences[0, 10:].tolist() == row.tokens
        for logits, token, (logprob, _) in zip(forced.logits, row.tokens, row.logprobs, strict=True):
            assert logprob == pytest.approx(float(logits[0].log_softmax(-1)[token]), abs=1e-4)


def test_a_rollout_depends_on_its_seed_alone(tmp_path: Path) -> None:
    model = load(tmp_path)
    together = roll_out(model, [LONG] * 4 + [SHORT] * 4, range(8), WARM)
    assert len({tuple(tokens) for tokens in together}) == 8
    parts = roll_out(model, [LONG] * 2, range(2), WARM) + roll_out(model, [LONG] * 2 + [SHORT] * 4, range(2, 8), WARM)
    small = roll_out(model, [LONG] * 4 + [SHORT] * 4, range(8), RolloutSettings(1.0, 12, batch=3, eos=frozenset()))
    assert together == parts == small
    torch.manual_seed(1)
    assert roll_out(model, [LONG] * 4 + [SHORT] * 4, range(8), WARM) == together


def test_the_token_that_ends_a_rollout_is_kept_and_the_model_stays_in_training(tmp_path: Path) -> None:
    model = load(tmp_path)
    free = roll_out(model, [LONG], [3], WARM)[0]
    ended = roll_out(model, [LONG], [3], RolloutSettings(1.0, 12, 8, frozenset([free[4], free[7]])))[0]
    assert ended == free[: min(free.index(free[4]), free.index(free[7])) + 1]
    assert model.training
    model.eval()
    roll_out(model, [LONG], [3], WARM)
    assert not model.training


def test_gradients_flow_after_a_rollout(tmp_path: Path) -> None:
    model = load(tmp_path)
    roll_out(model, [LONG], [0], WARM)
    model(torch.tensor([LONG])).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_groups_stay_together_and_lengths_apart_where_they_must() -> None:
    a, b, c = [1], [2], [3, 3]
    rows = [a, a, a, a, b, b, b, b, c, c, c, c]
    assert _chunks(rows, 8, padded=True) == [(0, 8), (8, 12)]
    assert _chunks(rows, 12, padded=False) == [(0, 8), (8, 12)]
    assert _chunks(rows, 2, padded=True) == [(0, 4), (4, 8), (8, 12)]
    assert _chunks([], 2, padded=True) == []


def test_seeds_of_a_visit_are_consecutive_and_those_of_others_far() -> None:
    first = [rollout_seed(0, 0, ordinal) for ordinal in range(4)]
    assert first == list(range(first[0], first[0] + 4))
    seeds = {rollout_seed(seed, visit, ordinal) for seed in (0, 1) for visit in range(500) for ordinal in range(4)}
    assert len(seeds) == 4000 and max(seeds) < 2**31
