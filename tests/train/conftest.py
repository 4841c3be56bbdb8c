"""Training tests use one thread: models are tiny, and threads that wait for each other on busy cores cost seconds a step."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
