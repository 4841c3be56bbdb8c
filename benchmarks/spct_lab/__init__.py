"""A laboratory of SPCT on two CPU cores: a small model from scratch in a generated judging world (docs/lab.md).

    python -m benchmarks.spct_lab --out DIR [--short] [--seeds 0 1 2] [--jobs 2]

The world, the crowd that the base learns from, the pre-training, the statistics and the plots are here; sampling, rejection,
fine-tuning, RL, meta RM, judging and voting are those of ``spct train all``.
"""
