"""The baselines a generative judge is compared with, trained on the same items and base model.

``scalar`` is Bradley-Terry on TRL's RewardTrainer, ``pairrm`` a pair classifier, ``cloud`` a critic with a score; an
LLM-as-a-judge is trained by the stages of the GRM with the template ``judge``. Each is what the rival judge of that name
loads (``spct bench --judge``). Importing this package loads no torch. To add one: a module like ``scalar`` (METRIC, SCHEMA,
load, rows, trainer), a line here and one in ``recipe.RECIPES``.
"""

KINDS = {
    "scalar": "spct.train.baselines.scalar",
    "pairrm": "spct.train.baselines.pairrm",
    "cloud": "spct.train.baselines.cloud",
}
