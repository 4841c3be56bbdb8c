"""Runs to look at, made once, and a viewer over them."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from view.runs import ITEMS, make_run, script


def otherwise(request, j):
    """A second judge: on "river" it chooses otherwise."""
    sample = script(request, j)
    if "Vienna" not in request.messages[-1].content:
        return sample
    return (
        "\\boxed{1, 9}" if "\nThe Rhine." in request.messages[-1].content.split("\nThe Danube.")[0] else "\\boxed{9, 1}"
    )


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A folder of two runs over the same items, not to be changed."""
    folder = tmp_path_factory.mktemp("runs")
    asyncio.run(make_run(folder / "small"))
    asyncio.run(make_run(folder / "deep" / "other", ITEMS[:5], otherwise, name="other"))
    return folder


@pytest.fixture
def own_runs(runs, tmp_path):
    """A copy of them, to label or to delete."""
    return shutil.copytree(runs, tmp_path / "runs")
