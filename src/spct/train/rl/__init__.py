"""Stage 2, rule-based online RL (arXiv 2504.02495, Eq 11 and 15): ours are the prompts, the reward, the rollouts and what is
watched; the loss is TRL's. ``run.train_rl`` is the whole. Importing this package loads no torch.
"""
