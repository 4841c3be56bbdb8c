"""What a driver knows of its batch, without a cluster."""

import re
from pathlib import Path

import pytest

from spct.cluster.actor import Failure
from spct.cluster.batch import Batch, Seats
from spct.cluster.cut import cut
from spct.cluster.home import Home
from spct.cluster.metrics import OF_ACTORS, OF_DRIVER
from spct.items import parse_item


def test_the_driver_measures_what_its_metrics_name(tmp_path):
    pytest.importorskip("ray")
    items = [parse_item({"prompt": f"q{n}", "responses": ["a", "b"]}, where="here") for n in range(5)]
    batch = Batch(cut(items, tmp_path, 1, {}), lambda: None, Seats(1), {}, lambda ready: None)
    assert batch.measures() == dict.fromkeys(OF_DRIVER, 0) | {"spct_shards": 5}
    batch.home = Home.begun(tmp_path, batch._cut, {}, {}, {}, resume=False)
    batch.home.done |= {0: 2, 3: 0}
    for _ in range(4):
        batch.fail(batch._cut.shards[1], Failure("EngineError", "gone"))
    batch.report.actors_died = 3
    batch.home.close()
    assert list(batch.measures().values()) == [5, 2, 1, 2, 3, 4]


def test_the_docs_name_every_metric_as_ray_exports_it():
    names = {f"ray_{name}" for name in OF_DRIVER} | {f"ray_{name}_total" for name, _ in OF_ACTORS.values()}
    names.add("ray_spct_ratings_total")  # of a meta RM's actors
    text = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
    assert set(re.findall(r"`(ray_spct_[a-z_]+)`", text)) == names
