"""The endpoints, one file for each shape. To add one: a router here and its file's row in ``docs/serving.md``."""

from __future__ import annotations

from fastapi import APIRouter

from spct.serve.routes import docs, judge, models, openrlhf, probes, rerank, reward, score

ROUTERS: tuple[APIRouter, ...] = (
    judge.router,
    reward.router,
    rerank.router,
    score.router,
    openrlhf.router,
    models.router,
    probes.router,
    docs.router,
)
