"""Other people's R peak detectors, as they come: whole arrays, default settings, samples out."""

import contextlib
import io
import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Signal = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Detect = Callable[[Signal, float], Ints]


_STEPS = 200
"""A millivolt, as MIT-BIH's converter has it."""
_TWICE_S = 0.05


def gqrs(signal: Signal, fs: float) -> Ints:
    from wfdb.processing import gqrs_detect

    # Its arithmetic is that of integers: given millivolts instead of steps of a converter it errs a third more often.
    steps = np.round(signal * _STEPS).astype(np.int64)
    return np.asarray(gqrs_detect(d_sig=steps, fs=fs, adc_gain=_STEPS, adc_zero=0), dtype=np.int64)


def xqrs(signal: Signal, fs: float) -> Ints:
    from wfdb.processing import xqrs_detect

    return np.asarray(xqrs_detect(sig=signal, fs=fs, verbose=False), dtype=np.int64)


def neurokit(method: str) -> Detect:
    def detect(signal: Signal, fs: float) -> Ints:
        import neurokit2

        cleaned = neurokit2.ecg_clean(signal, sampling_rate=int(fs), method=method)
        _, found = neurokit2.ecg_peaks(cleaned, sampling_rate=int(fs), method=method)
        return np.asarray(found["ECG_R_Peaks"], dtype=np.int64)

    return detect


def sleepecg(signal: Signal, fs: float) -> Ints:
    from sleepecg import detect_heartbeats  # type: ignore[attr-defined]  # public, but its package has no __all__

    return np.asarray(detect_heartbeats(signal, fs), dtype=np.int64)


def pantompkins_plus_plus(signal: Signal, fs: float) -> Ints:
    from biosppy.signals.ecg import Pan_Tompkins_Plus_Plus_segmenter

    found = np.unique(Pan_Tompkins_Plus_Plus_segmenter(signal=signal, sampling_rate=fs)["rpeaks"]).astype(np.int64)
    # It gives many beats twice, one sample apart; its authors' figures count them once.
    return found[np.diff(found, prepend=-fs) > _TWICE_S * fs]


PEERS: dict[str, Detect] = {
    "wfdb gqrs": gqrs,
    "wfdb xqrs": xqrs,
    "NeuroKit2 pantompkins1985": neurokit("pantompkins1985"),
    "NeuroKit2 default": neurokit("neurokit"),
    "sleepecg": sleepecg,
    "biosppy pantompkins++": pantompkins_plus_plus,
}


def quietly(detect: Detect, signal: Signal, fs: float) -> Ints:
    """Without what they print and warn of; nothing found where they fail."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            return np.unique(detect(signal, fs))
        except (ValueError, IndexError, ZeroDivisionError):
            return np.zeros(0, dtype=np.int64)
