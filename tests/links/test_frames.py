"""Junk at every socket: counted, and nothing else."""

from bench.faults_frames import run


def test_junk_is_counted_and_nothing_else_happens_anywhere():
    for name, struck in run(400).items():
        assert (struck.rejected, struck.wrong) == (struck.expected, 0), name
