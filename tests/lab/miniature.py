"""The laboratory in miniature, one seed: python miniature.py OUT. In a process of its own, as the command is."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from benchmarks.spct_lab.model import Size
from benchmarks.spct_lab.pretrain import Pretraining
from benchmarks.spct_lab.recipe import SHORT
from benchmarks.spct_lab.run import prepare, run_seed

MINIATURE = replace(
    SHORT,
    pretraining=Pretraining(
        texts=3_840, batch=32, course=(), sizes=(1, 2), second=0, third=0, size=Size(width=48, layers=2, heads=4)
    ),
    train=60, more=24, dev=4, test=12, singles=6, sft_epochs=1.0, rl_steps=2, rl_save=1, meta_steps=2, k=2, ablation_k=1,
    groups=("main", "beta"), wider_seeds=0, metas=(), adaptive=False,
)  # fmt: skip

if __name__ == "__main__":
    torch.set_num_threads(1)
    prepare(MINIATURE, Path(sys.argv[1]))
    run_seed(MINIATURE, 0, Path(sys.argv[1]))
