"""One BLAS thread in every test here: on small solves a second one spins and makes them many times slower."""

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    with threadpool_limits(1, "blas"):
        yield
