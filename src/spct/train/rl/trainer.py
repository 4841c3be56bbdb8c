"""TRL's GRPOTrainer on a schedule of judging prompts: our prompts, rollouts, reward and held-out evaluation; its loss.

Nothing of the mathematics is ours: advantages, ratio, clipping and KL are TRL's under ``loss_type="grpo"`` and
``scale_rewards="group"`` (the original GRPO, Eq 15 of the paper). Needs torch, transformers and TRL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from accelerate.utils import gather_object, is_peft_model
from datasets import Dataset
from transformers import PrinterCallback
from trl.extras.profiling import profiling_context
from trl.models.utils import unwrap_model_for_generation
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from spct.engines.chat_tokenizer import ChatTokenizer
from spct.engines.transformers import as_loaded
from spct.errors import InputError
from spct.train.common.guarded import Guarded
from spct.train.rl.heldout import HeldOut, as_metrics, summed
from spct.train.rl.kept_rollouts import KeptRollouts
from spct.train.rl.monitors import figures_of
from spct.train.rl.probing import gain_figures
from spct.train.rl.prompts import Schedule
from spct.train.rl.reward import CORRECT, ELSE, score_rollout
from spct.train.rl.rollout import RolloutSettings, roll_out, rollout_seed
from spct.types import FinishReason


class RuleReward:
    """Eq 11 as a reward function of TRL. ``decode`` reads tokens as the judge does; ``eos`` are those that end a turn.

    ``kept`` keeps some rollouts of each step, if anything does.
    """

    __name__ = "rule"

    def __init__(
        self,
        schedule: Schedule,
        decode: Callable[[Sequence[int]], str],
        eos: frozenset[int],
        kept: KeptRollouts | None = None,
    ) -> None:
        self._schedule = schedule
        self._decode = decode
        self._eos = eos
        self._kept = kept

    def __call__(
        self,
        completion_ids: Sequence[Sequence[int]],
        visit: Sequence[int],
        log_metric: Callable[[str, float], None],
        trainer_state: Any,
        **_: Any,
    ) -> list[float | None]:
        """One reward per completion; ``visit`` names its prompt."""
        prompts = [self._schedule.prompt(number) for number in visit]
        texts: list[tuple[str, FinishReason]] = [
            (self._decode(ids), "stop" if ids[-1] in self._eos else "length") for ids in completion_ids
        ]
        scored = [
            score_rollout(*text, prompt.item, prompt.order, prompt.template)
            for text, prompt in zip(texts, prompts, strict=True)
        ]
        if self._kept is not None:
            self._kept.keep(trainer_state.global_step + 1, prompts, texts, scored)
        for name, value in figures_of(scored, [len(prompt.order) for prompt in prompts], self._schedule.scale):
            log_metric(name, value)
        return [one.reward for one in scored]


@dataclass(frozen=True, slots=True)
class Policy:
    """The model in training, its tokenizer, and the tokens that end a turn."""

    model: Any
    tokenizer: Any
    chat: ChatTokenizer
    eos: frozenset[int]


class RLTrainer(Guarded, GRPOTrainer):
    """GRPO over the first ``steps`` x ``prompts`` visits of a schedule.

    ``rollouts`` None leaves the sampling to TRL (``generate`` or vLLM), as do sharded weights. ``heldout`` is judged at every
    evaluation. ``kept`` keeps some of the rollouts that this process has. Raises InputError where it cannot be.
    """

    def __init__(
        self,
        policy: Policy,
        args: GRPOConfig,
        schedule: Schedule,
        *,
        visits: int,
        rollouts: RolloutSettings | None,
        heldout: HeldOut | None = None,
        kept: KeptRollouts | None = None,
        peft_config: Any = None,
        callbacks: Sequence[Any] = (),
    ) -> None:
        super().__init__(
            model=policy.model,
            reward_funcs=[RuleReward(schedule, policy.chat.decode, policy.eos, kept)],
            args=args,
            train_dataset=Dataset.from_dict({"visit": list(range(visits))}),
            eval_dataset=None if heldout is None else Dataset.from_dict({"id": [item.id for item in heldout.items]}),
            processing_class=policy.tokenizer,
            peft_config=peft_config,
            callbacks=list(callbacks),
        )
        self.remove_callback(PrinterCallback)  # it prints dictionaries
        self.data_collator: Any = schedule.collate
        self._policy = policy
        # Sharded weights are gathered layer by layer, in step with the other processes: only the libraries' loops do that.
        sharded = self.is_fsdp_enabled or self.is_deepspeed_enabled
        if sharded and heldout is not None:
            raise InputError(
                "heldout judges with the live policy, whose weights are sharded here (FSDP or DeepSpeed); leave heldout out "
                "and run spct bench on the checkpoints"
            )
        self._rollouts = None if sharded else rollouts
        self._heldout = heldout
        self._group = int(args.num_generations or 1)
        self._seeds: list[int] = []

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        # The rows of all processes in a row are whole groups, one after the other; a group may lie across two of them.
        first = self.accelerator.process_index * len(inputs)
        self._seeds = [
            rollout_seed(self.args.seed, row["visit"], (first + place) % self._group)
            for place, row in enumerate(inputs)
        ]
        return super()._generate_and_score_completions(inputs)

    def _generate_single_turn(self, prompt_ids: Any, *args: Any, **kwargs: Any) -> Any:
        if self._rollouts is None:
            plain: Any = super()._generate_single_turn
            return plain(prompt_ids, *args, **kwargs)
        with (
            profiling_context(self, "spct.roll_out"),
            unwrap_model_for_generation(
                self.model_wrapped,
                self.accelerator,
                gradient_checkpointing_kwargs=cast(Any, self.args.gradient_checkpointing_kwargs),
            ) as model,
        ):
            return roll_out(_causal(model), prompt_ids, self._seeds, self._rollouts), None

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        rewards: torch.Tensor = super()._calculate_rewards(*args, **kwargs)
        groups = rewards[:, 0].view(-1, self._group)  # of all processes
        for name, value in (("groups/all_correct", CORRECT), ("groups/all_wrong", ELSE)):
            self._metrics["train"][name].append((groups == value).all(dim=1).float().mean().item())
        return rewards

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        """Held-out accuracy of the policy as it is now, and what its probes gain, over all processes."""
        assert self._heldout is not None and self.model is not None
        model = _causal(self.accelerator.unwrap_model(self.model))
        training = self.model.training
        self.model.eval()  # also so that TRL does not report the training figures of half an interval here
        try:
            share = self._heldout.share(self.accelerator.process_index, self.accelerator.num_processes)
            parts = gather_object([share.measure(as_loaded(model, self._policy.chat))])
            found = as_metrics(summed([part.grades for part in parts]))
            found |= gain_figures([gain for part in parts for gain in part.gains])
            figures = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
            self.log(dict(figures))
        finally:
            self.model.train(training)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, figures)
        return figures


def _causal(model: Any) -> Any:
    """The causal model itself; an adapter's layers stay in place in it."""
    return model.get_base_model() if is_peft_model(model) else model


def grpo_config(**options: Any) -> GRPOConfig:
    """The paper's GRPO in TRL's words, with ``options`` over it: one update per batch of rollouts, no dropout.

    TRL's default would weigh the KL term by the ratio, which changes its gradient even where the ratio is 1; Eq 15 does not.
    """
    fixed: Mapping[str, Any] = {
        "loss_type": "grpo",
        "scale_rewards": "group",
        "num_iterations": 1,
        "use_bias_correction_kl": False,
        "shuffle_dataset": False,
        "disable_dropout": True,
        "remove_unused_columns": False,
        "dataloader_num_workers": 0,
        "disable_tqdm": True,
    }
    return GRPOConfig(**{**fixed, **options})
