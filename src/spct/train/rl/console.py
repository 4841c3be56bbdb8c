"""What the trainer says on the terminal. Needs transformers."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState

from spct.train.rl.monitors import HELDOUT_ALARMS, Alarms, heldout_line, train_line
from spct.train.stage import Say


class Console(TrainerCallback):
    """A line per log, a line per evaluation, and the alarms; of the main process only."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._alarms = Alarms()
        self._heldout_alarms = Alarms(HELDOUT_ALARMS)

    def on_log(
        self, args: Any, state: TrainerState, control: TrainerControl, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        if not logs or not state.is_world_process_zero:
            return
        figures = {name: float(value) for name, value in logs.items() if isinstance(value, (int, float))}
        if "eval_accuracy" in figures:
            self._say(heldout_line(state.global_step, figures))
            alarms = self._heldout_alarms
        elif "accuracy" in figures:
            self._say(train_line(state.global_step, state.max_steps, figures))
            alarms = self._alarms
        else:
            return
        for words in alarms.check(figures):
            self._say(f"  warning: {words}")
