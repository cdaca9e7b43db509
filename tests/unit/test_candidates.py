"""The candidate network: its file, its arithmetic, what it is told."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from monitor import candidates
from monitor import detector_layout as layout
from monitor.errors import UserError


def test_it_computes_what_torch_computes():
    net = candidates.load()
    rng = np.random.default_rng(0)
    for _ in range(20):
        x = rng.normal(0, 1, candidates.INPUTS).astype(np.float32)
        h = torch.relu(torch.from_numpy(x) @ torch.from_numpy(net.w1) + torch.from_numpy(net.b1))
        h = torch.relu(h @ torch.from_numpy(net.w2) + torch.from_numpy(net.b2))
        expected = torch.sigmoid(h @ torch.from_numpy(net.w3) + net.b3)
        rooms = (np.empty(size, np.float32) for size in candidates.HIDDEN)
        assert candidates.judge(net, x, *rooms) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("gain", [0.1, 3.0])
def test_what_is_seen_knows_no_voltage(gain):
    rng = np.random.default_rng(1)
    filtered, feature = rng.normal(0, 1, layout.RING), np.abs(rng.normal(0, 1, layout.RING))
    template = rng.normal(0, 1, candidates.WAVE)
    seen = []
    for g in (1.0, gain):
        states = np.zeros(1, layout.STATE)
        s = states[0]
        s["signal"], s["noise"], s["last_slope"] = 0.5 * g, 0.1 * g, 0.2 * g
        s["rr"], s["rr_change"], s["last_peak"] = 300.0, 20.0, 200
        s["template"] = template
        x = np.empty(candidates.INPUTS, np.float32)
        candidates.describe(s, filtered * g, feature * g, layout.RING - 1, 500, 0.6 * g, 0.3 * g, x)
        seen.append(x)
    np.testing.assert_allclose(seen[0], seen[1], rtol=1e-5, atol=1e-6)


def written(path, change):
    tensors = load_file(candidates.SHIPPED)
    origin = {"contract": candidates.contract()}
    change(tensors, origin)
    save_file(tensors, path, metadata={"origin": json.dumps(origin)})
    return path


def test_weights_for_another_detector_are_refused(tmp_path):
    path = written(tmp_path / "w", lambda t, m: m.update(contract="ecg-monitor/qrs/0"))
    with pytest.raises(UserError, match="ecg-train qrs"):
        candidates.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda t, m: t.pop("w2"),
        lambda t, m: t.update(w1=t["w1"][:-1]),
        lambda t, m: t.update(b1=np.full_like(t["b1"], np.nan)),
    ],
    ids=["missing", "another shape", "not a number"],
)
def test_broken_weights_are_refused(tmp_path, change):
    with pytest.raises(UserError, match="is missing, of another shape"):
        candidates.load(written(tmp_path / "w", change))


def test_what_is_no_weights_file_is_refused(tmp_path):
    (tmp_path / "w").write_bytes(b"not weights")
    for path in (tmp_path / "w", tmp_path / "absent"):
        with pytest.raises(UserError, match="not a whole safetensors file"):
            candidates.load(path)
