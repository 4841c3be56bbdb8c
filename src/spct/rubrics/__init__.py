"""Rubrics: criteria with weights, what each answer is worth, and the checks that need no model (docs/rubrics.md).

``Rubric.load("reply.yaml")`` reads one. What its answers add up to is ``voting.criteria``; who is asked is
``judges.rubric``. To add a check: a function in ``checks.CHECKS`` and a key in ``reading.CheckIn``.
"""

from spct.rubrics.checks import Check, Checked
from spct.rubrics.rubric import Criterion, Rubric

__all__ = ["Check", "Checked", "Criterion", "Rubric"]
