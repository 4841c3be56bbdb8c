"""Runs over many items: the store, the one way into it, and the streaming runner."""

from spct.run.opening import check_same, open_run, opened_run
from spct.run.runner import Outcome, judge_items
from spct.run.store import RunStore

__all__ = ["Outcome", "RunStore", "check_same", "judge_items", "open_run", "opened_run"]
