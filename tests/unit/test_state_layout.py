"""A checkpoint of another layout must be refused, not misread: whoever changes a core's state raises the version."""

import hashlib

import msgspec
import numpy as np
from streams import demo, played, with_gap

from monitor import beats, detector_layout, pipeline, quality, rhythm
from monitor.commands.stage import _STATE
from monitor.patient import Patient

KNOWN = (6, "60ef54319b42aee8")
"""The version of what checkpoints hold (``monitor/commands/stage.py``), and the digest of the layout that it names."""


def layout(value):
    """Names and types all the way down, whatever the values."""
    if isinstance(value, dict):
        return {key: layout(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        each = [layout(item) for item in value]
        return [item for k, item in enumerate(each) if item not in each[:k]]
    return type(value).__name__


def undescribed(schema):
    """A schema without its words."""
    if isinstance(schema, dict):
        return {key: undescribed(value) for key, value in schema.items() if key != "description"}
    return [undescribed(value) for value in schema] if isinstance(schema, list) else schema


def test_a_state_of_another_layout_has_another_version(settings):
    ecg = demo(30.0)
    events = with_gap(played(np.stack([ecg, -ecg])), 7000, 7700)[:-2]  # it ends within the gap
    detector, judge = pipeline.detector(settings)[0], pipeline.judge(settings, "cpu")[0]
    judge.push(detector.push(events))
    classifier, alarms = judge.state().values()
    assert all(isinstance(msgspec.convert(each, Patient), Patient) for each in alarms["patients"].values())
    told = [layout(detector.state()), layout(classifier), sorted(alarms), undescribed(msgspec.json.schema(Patient))]
    kinds = [str(kind.descr) for kind in (detector_layout.STATE, quality.STATE, rhythm.STATE, beats.STATE)]
    digest = hashlib.sha256(msgspec.json.encode([told, kinds])).hexdigest()[:16]
    assert (_STATE, digest) == KNOWN, "raise _STATE, and say so here"
