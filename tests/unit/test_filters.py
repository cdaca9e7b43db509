"""The causal filters against SciPy's."""

import numpy as np
import pytest
from scipy import signal

from monitor import filters


@pytest.mark.parametrize(
    "sos",
    [filters.highpass(0.5, 360), filters.lowpass(40, 360), filters.bandpass(8, 20, 360), filters.lowpass(30, 360, 4)],
    ids=["highpass", "lowpass", "bandpass", "two sections"],
)
def test_as_scipy_runs_it(sos):
    x = np.random.default_rng(0).normal(size=2000)
    state = np.zeros((len(sos), 2))
    mine = [filters.sos_step(sos, state, value) for value in x]
    np.testing.assert_allclose(mine, signal.sosfilt(sos, x), rtol=1e-10, atol=1e-12)


def test_seeded_with_a_constant_it_is_at_rest():
    sos = filters.highpass(0.5, 360)
    state = filters.steady(sos) * 3.0
    out = [filters.sos_step(sos, state, 3.0) for _ in range(1000)]
    assert np.abs(out).max() < 1e-9
