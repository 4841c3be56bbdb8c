"""The client's values beside the server's models, and what importing the client loads."""

import subprocess
import sys
from dataclasses import fields

import pytest

from spct.client import BatchResult, Group, GroupRewards, Ready, RolloutReward, ServedVerdict
from spct.wire import judge, parts, probes, reward


@pytest.mark.parametrize(
    ("value", "model", "left_out"),
    [
        (Group, parts.GroupIn, set()),
        (ServedVerdict, judge.VerdictOut, set()),
        (BatchResult, judge.BatchEntry, set()),
        (GroupRewards, reward.GroupRewards, {"usage"}),
        (RolloutReward, reward.RolloutReward, set()),
        (Ready, probes.Ready, set()),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_the_client_has_what_the_server_sends(value, model, left_out):
    assert {field.name for field in fields(value)} | left_out == set(model.model_fields)


def test_the_client_and_the_adapters_import_no_more_than_a_plain_install():
    heavy = "pydantic fastapi uvicorn torch transformers trl verl openrlhf ray numpy datasets".split()
    names = "client adapters.trl adapters.verl adapters.openrlhf adapters.nemo adapters.best_of_n".split()
    code = f"import sys\nfor name in {names}: __import__('spct.' + name)\n"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
