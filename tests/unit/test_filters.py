"""The causal filters against SciPy's."""

import shutil
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from scipy import signal

from monitor import detector_kernel as kernel
from monitor import detector_layout as layout
from monitor import filters
from monitor.detector import plan


@pytest.fixture
def filtered(settings):
    """(signal, cuts) → (filtered, energy's root) as the kernel has them at the end, one ring's length."""
    sections, how = plan(settings)

    def run(x, cuts=()):
        states = np.zeros(1, layout.STATE)
        kernel.reset(states[0], 0)
        edges = [0, *cuts, len(x)]
        for first, last in pairwise(edges):
            kernel.filter_block(states[0], sections, how.integration, x, first, last)
            states[0]["next"] = last
        last = np.arange(len(x) - layout.RING, len(x)) & (layout.RING - 1)
        return states[0]["filtered"][last], states[0]["feature"][last]

    return run


def test_the_kernel_filters_as_scipy_does(settings, filtered):
    sections, how = plan(settings)
    x = np.random.default_rng(0).normal(size=3000) + 2.0
    slow = signal.sosfilt(sections.highpass, x, zi=sections.highpass_seed * x[0])[0]
    band = signal.sosfilt(sections.band, slow)
    energy = signal.lfilter(np.ones(how.integration) / how.integration, [1.0], band**2)
    waves, features = filtered(x, cuts=(1, 100, 357, 2999))
    np.testing.assert_allclose(waves, signal.sosfilt(sections.lowpass, slow)[-layout.RING :], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(features, np.sqrt(energy[-layout.RING :]), rtol=1e-7)


def test_a_constant_is_at_rest_from_the_first_sample(filtered):
    waves, features = filtered(np.full(2000, 3.0))
    assert np.abs(waves).max() < 1e-9
    assert features.max() < 1e-6


def test_the_corner_frequencies_are_three_decibels_down():
    for sos, corners in ((filters.highpass(0.5, 360), [0.5]), (filters.lowpass(40, 360), [40.0]),
                         (filters.bandpass(8, 20, 360), [8.0, 20.0])):  # fmt: skip
        _, gain = signal.sosfreqz(sos, worN=corners, fs=360)
        np.testing.assert_allclose(np.abs(gain), np.sqrt(0.5), rtol=1e-6)


def test_what_is_compiled_into_another_file_is_compiled_anew_when_it_changes(tmp_path):
    """The copy of a package: what one file's kernel says is part of another file's kernel."""
    package = tmp_path / "copied"
    package.mkdir()
    shutil.copy(filters.__file__, package / "filters.py")
    begin = "from copied.filters import compiled\n"
    (package / "outer.py").write_text(
        f"{begin}from copied.inner import said\n@compiled\ndef told():\n    return said()\n"
    )
    told = []
    for word in ("3", "4", "4"):
        (package / "inner.py").write_text(f"{begin}@compiled\ndef said():\n    return {word}\n")
        code = "from copied.outer import told; print(told(), *told.stats.cache_hits.values())"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        told.append(done.stdout.split())
    assert told == [["3"], ["4"], ["4", "1"]]
