"""What holds for tests of models that make sound."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _one_thread():
    """Networks this small are several times faster on one thread, above all on a machine that is busy."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
