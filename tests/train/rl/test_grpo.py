"""What TRL computes under our configuration, against Eq 15 written out in loops in double precision."""

import copy
import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from spct.train.common.models import load_trainable  # noqa: E402
from spct.train.rl.prompts import Templates  # noqa: E402
from spct.train.rl.run import make_trainer  # noqa: E402
from spct.train.rl.selection import TrainingItems, read_labelled  # noqa: E402
from train.rl.toy import toy_recipe  # noqa: E402

GROUP, BETA, EPSILON, TRL_STD_FLOOR = 4, 0.08, 0.2, 1e-4


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory):
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("grpo")
    recipe = toy_recipe(path, batch=16, micro_batch=64, beta=BETA, max_new_tokens=3)
    templates = Templates(recipe.template, recipe.single_template)
    items = read_labelled(recipe.data, templates)
    loaded = load_trainable(recipe.model)
    return make_trainer(
        recipe, path / "out", loaded, TrainingItems(items, templates, len(items)), None, say=lambda _: None
    )


@pytest.fixture(scope="module")
def batch(trainer):
    """A scored batch of rollouts, and the rewards it was given.

    They are given by place, not by what was sampled, which differs between processors: groups of all right, of one right
    and of none.
    """
    given: list[float] = []
    reward = trainer.reward_funcs[0]

    def by_place(completions, **columns):
        assert len(reward(completions=completions, **columns)) == len(completions)
        for i in range(len(completions)):
            kind = i // GROUP % 3
            given.append(1.0 if kind == 0 or (kind == 1 and i % GROUP == 0) else -1.0)
        return list(given)

    trainer.reward_funcs[0] = by_place
    rows = next(iter(trainer.get_train_dataloader()))
    trainer.model.train()
    scored = trainer._generate_and_score_completions(rows)
    trainer.reward_funcs[0] = reward
    return rows, scored, given


def advantages(rewards: list[float]) -> list[float]:
    """(r - mean) / std in each group, std with n - 1 below; 0 where all rewards are equal."""
    out = []
    for start in range(0, len(rewards), GROUP):
        group = rewards[start : start + GROUP]
        mean = math.fsum(group) / GROUP
        std = math.sqrt(math.fsum((r - mean) ** 2 for r in group) / (GROUP - 1))
        out += [(r - mean) / (std + TRL_STD_FLOOR) for r in group]
    return out


def test_the_configuration_is_the_paper_s(trainer) -> None:
    args = trainer.args
    assert (args.loss_type, args.scale_rewards, args.num_iterations) == ("grpo", "group", 1)
    assert (args.num_generations, args.beta, args.epsilon, args.epsilon_high) == (GROUP, BETA, EPSILON, None)
    assert not args.use_bias_correction_kl
    assert args.importance_sampling_level == "token" and args.temperature == 1.0 and args.top_p == 1.0


def test_advantages_of_mixed_and_of_all_equal_groups(batch) -> None:
    rows, scored, rewards = batch
    assert [row["visit"] for row in rows] == [visit for visit in range(16) for _ in range(GROUP)]
    groups = [rewards[start : start + GROUP] for start in range(0, 64, GROUP)]
    assert set(rewards) == {1.0, -1.0}
    assert any(len(set(group)) == 1 for group in groups) and any(len(set(group)) == 2 for group in groups)
    found = scored["advantages"].tolist()
    assert found == pytest.approx(advantages(rewards), abs=1e-6)
    for place, group in enumerate(groups):
        if len(set(group)) == 1:
            assert found[place * GROUP : (place + 1) * GROUP] == [0.0] * GROUP
    # One of four right, in closed form: mean -1/2, std 1.
    assert advantages([1, -1, -1, -1]) == pytest.approx([1.5, -0.5, -0.5, -0.5], abs=2e-4)


def logprobs(model, ids: list[int], prompt: int) -> list[float]:
    """Of the tokens after the first ``prompt``, in double precision, without padding."""
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double()
    return [float(logits[at - 1].log_softmax(-1)[ids[at]]) for at in range(prompt, len(ids))]


def frozen(model):
    """A copy in double precision as it was loaded, without what TRL has put around its forward."""
    plain = type(model)(model.config)
    plain.load_state_dict(model.state_dict())
    return plain.double().eval()


def naive_loss(policy, old, reference, rows: list[tuple[list[int], list[int]]], advantage: list[float]) -> float:
    """Eq 15, to be minimised: mean over sequences of the mean over their tokens of -(clipped term) + beta * KL."""
    sequences = []
    for (prompt, completion), a in zip(rows, advantage, strict=True):
        ids = prompt + completion
        tokens = []
        for new, before, ref in zip(*(logprobs(m, ids, len(prompt)) for m in (policy, old, reference)), strict=True):
            ratio = math.exp(new - before)
            clipped = min(max(ratio, 1 - EPSILON), 1 + EPSILON)
            kl = math.exp(ref - new) - (ref - new) - 1
            tokens.append(-min(ratio * a, clipped * a) + BETA * kl)
        sequences.append(math.fsum(tokens) / len(tokens))
    return math.fsum(sequences) / len(sequences)


def unpadded(scored) -> list[tuple[list[int], list[int]]]:
    rows = []
    for i in range(len(scored["advantages"])):
        prompt = scored["prompt_ids"][i][scored["prompt_mask"][i].bool()].tolist()
        rows.append((prompt, scored["completion_ids"][i][scored["completion_mask"][i].bool()].tolist()))
    return rows


@pytest.mark.parametrize("updated", [False, True])
def test_the_loss(trainer, batch, updated: bool) -> None:
    """Right after the rollouts (ratio 1), and after the policy has moved so far that ratios are clipped on both sides."""
    _, scored, rewards = batch
    policy = trainer.model
    kept = copy.deepcopy(policy.state_dict())
    reference = frozen(trainer.ref_model)
    torch.manual_seed(7)
    for parameter in policy.parameters():  # away from the reference, so that there is a KL
        parameter.data += 0.05 * torch.randn_like(parameter)
    old = frozen(policy)
    inputs = dict(scored)
    width = scored["completion_ids"].size(1)
    ids = torch.cat([scored["prompt_ids"], scored["completion_ids"]], 1)
    mask = torch.cat([scored["prompt_mask"], scored["completion_mask"]], 1)
    with torch.no_grad():
        inputs["ref_per_token_logps"] = trainer._get_per_token_logps_and_entropies(trainer.ref_model, ids, mask, width)[
            0
        ]
        if updated:
            inputs["old_per_token_logps"] = trainer._get_per_token_logps_and_entropies(policy, ids, mask, width)[0]
            for parameter in policy.parameters():
                parameter.data += 0.1 * torch.randn_like(parameter)
    policy.eval()  # TRL divides by the accumulation steps of a training loop, which is not running, otherwise
    try:
        loss = trainer.compute_loss(policy, inputs).item()
        clipped = trainer._metrics["eval"]["clip_ratio/region_mean"][-1]
        moved = frozen(policy)
    finally:
        policy.load_state_dict(kept)
        policy.train()
    assert (clipped > 0.02) == updated
    assert loss == pytest.approx(naive_loss(moved, old, reference, unpadded(scored), advantages(rewards)), abs=1e-5)
