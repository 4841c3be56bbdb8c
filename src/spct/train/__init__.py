"""Training: rejective fine-tuning, rule-based RL, the meta RM and the baselines, on transformers, TRL and PEFT.

Ours is what the method adds: which judgments to keep, the data, the checks. One stage, one directory: what made it
(``stage``), its checkpoints (``guarded``), and in the end ``model/`` (``saving``). Importing this package loads no torch;
the modules that need it say so in their first line.
"""
