"""Trainings of seconds: two patients learnt from, another to validate by and one to test."""

from trainer import train
from trainer.protocols import Protocol

SMALL = train.Recipe(steps=4, chunk=16, batch=3, copies=1, composed_copies=1, strips=0.0, reports=2)
TWO = Protocol("two", ("mitdb/100", "mitdb/119"), ("mitdb/101",), ("mitdb/103",), strips=False)
