"""A patient for tests of the alarms: beats and seconds, fed to the core in the order in which the daemon would."""

import msgspec
import numpy as np

from monitor.alarms import Alarms
from monitor.events import (
    FS,
    Acknowledge,
    Alert,
    AlertState,
    BeatClass,
    Cause,
    Level,
    Opened,
    Quality,
    Rhythm,
    Verdict,
)


def latching(settings):
    """With what bedside monitors latch; the shipped settings latch nothing."""
    kinds = ("asystole", "vf", "vt")
    return msgspec.structs.replace(settings, alarms=msgspec.structs.replace(settings.alarms, latching=kinds))


class Patient:
    """Feeds a stream's beats and seconds to the core, in the order in which the daemon would."""

    def __init__(self, settings):
        self.core = Alarms(settings)
        self.seq = 0
        self.at = 0
        self.last = None
        self.alerts: list[Alert] = []
        self.wave = (0.0, 0.0)  # probabilities of VT and VF
        self.height = 1.0  # mV, of the signal
        self.push(Opened(stream="p", seq=1, source="", fs=360.0, leads=("I",), start_time=500.0, length=None))

    def push(self, event):
        self.alerts += [e for e in self.core.push([event]) if isinstance(e, Alert)]

    def beats(self, labels, rr=0.8, amplitude=1.0, p_wave=0.9, level=Level.GOOD, sure=1.0, rest="Q"):
        """Beats ``rr`` s apart (one number, or one each), reports at every whole second between; ``sure``: probability
        of their class, ``rest`` has the rest."""
        intervals = [rr] * len(labels) if isinstance(rr, float) else rr
        for label, seconds in zip(labels, intervals, strict=True):
            sample = self.at + round(seconds * FS)
            self.seconds_until(sample)
            interval = None if self.last is None else sample - self.last
            self.push(Verdict(stream="p", seq=1, sample=sample, label=BeatClass(label),
                              probabilities=tuple(sure if label == name else (1.0 - sure) * (name == rest)
                                                  for name in "NSVFQ"), rr=interval, level=level,
                              amplitude=amplitude, p_likeness=p_wave, p_amplitude=0.1))  # fmt: skip
            self.at = self.last = sample
        return self

    def seconds_until(self, sample, level=Level.GOOD, cause=Cause.NONE, step=FS):
        for second in range((self.at // step + 1) * step, sample, step):
            silence = 0 if cause is Cause.GAP else second - (self.last or 0)
            self.push(Quality(stream="p", seq=1, sample=second, level=level, cause=cause, noise=0.0, silence=silence))
            if second % FS == 0 and cause is not Cause.GAP:
                vt, vf = self.wave
                self.push(Rhythm(stream="p", seq=1, sample=second, vt=vt, vf=vf, amplitude=self.height))

    def quiet(self, seconds, level=Level.GOOD, cause=Cause.NONE):
        """No beats, and reports eight times a second."""
        end = self.at + round(seconds * FS)
        self.seconds_until(end, level, cause, step=45)
        self.at = end
        return self

    def acknowledge(self, alert=None):
        self.push(Acknowledge(stream="p", seq=1, sample=self.at, alert=alert))
        return self

    def told(self, kind=None):
        return [(a.kind, str(a.state)) for a in self.alerts if kind in (None, a.kind)]

    def raised(self):
        return [a.kind for a in self.alerts if a.state is AlertState.RAISED]


def irregular(n, seed=0):
    """RR intervals of atrial fibrillation, s."""
    rng = np.random.default_rng(seed)
    return [float(x) for x in rng.uniform(0.4, 0.95, n)]
