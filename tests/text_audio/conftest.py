"""What holds for tests of models that make sound."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _small_networks(one_thread):
    """One thread for them all."""
