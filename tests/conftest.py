"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import logging
import os

import hypothesis
import pytest

from spct.errors import WeightsError
from spct.weights import ModelFile, pull

for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "NO_COLOR"):  # whoever runs the tests may have set them
    os.environ.pop(name, None)
hypothesis.settings.register_profile("untimed", deadline=None)  # machines differ, and are busy
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def smollm2() -> ModelFile:
    """The catalogue's real 135M model in the user's cache, its Q8_0 copy beside it; fetched once."""
    try:
        return pull("smollm2-135m")
    except WeightsError as error:
        pytest.skip(f"the model cannot be had here: {error}")


@pytest.fixture
def quiet_after():
    """Ends what the command line listens to."""
    root = logging.getLogger("spct")
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
