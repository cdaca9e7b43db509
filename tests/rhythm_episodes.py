"""A patient, and episodes of his rhythms by chance."""

import numpy as np

from trainer import episodes

PATIENT = episodes.Patient(ectopic=0.05, ventricular=0.0, other_p="other")
RECORDED = (0.4, 0.5, 0.7, 0.45, 0.6)
"""Intervals of a fast fibrillation, s; mean 0.53."""


def episode(kind, rr=0.8, length=150, patient=PATIENT, seed=0):
    return kind(np.random.default_rng(seed), patient, rr, length)


def intervals(some, label):
    return np.array([beat.rr for beat in some if beat.label == label])
