"""Makes tests/unit/ec57_cases.json: annotations drawn at random, and what WFDB's own bxb and rxr count on them.

    python tests/bxb_cases.py PATH/bxb PATH/rxr > tests/unit/ec57_cases.json

The programs are of the WFDB Software Package (https://physionet.org/content/wfdb/), 10.7.0 when this was last done.
They run as ``-S - -f SECONDS``. What our docstrings list as deviations is not drawn: episodes that nobody ended, and
runs in a record's first 150 ms.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import wfdb

CASES = 30


def draw(rng, fs, length):
    """A reference and a test: beats at any rate, ectopic in runs, VF, AF and shutdown."""
    reference, at = [], int(fs)
    while at < length - fs:
        kind = rng.choice(("sinus", "runs", "vf", "af", "noise", "fast"), p=(0.42, 0.34, 0.05, 0.07, 0.05, 0.07))
        if kind == "vf":
            stop = at + int(rng.uniform(1, 4) * fs)
            reference += [
                (at, "[", 0, ""),
                *((k, "!", 0, "") for k in range(at + 20, stop, fs // 4)),
                (stop, "]", 0, ""),
            ]
            at = stop
        elif kind == "noise":
            stop = at + int(rng.uniform(0.5, 3) * fs)
            reference.append((at, "~", -1, ""))
            if rng.random() < 0.7:
                reference.append((stop, "~", int(rng.integers(0, 4)), ""))
            at = stop
        else:
            if kind == "af":
                reference.append((at, "+", 0, str(rng.choice(("(AFIB", "(AFL", "(AB")))))
            gap = {"fast": 0.25, "runs": 0.5}.get(kind, 0.8)
            for _ in range(rng.integers(3, 12)):
                at += int(max(0.1, rng.normal(gap, 0.12)) * fs)
                symbols = "NVVVFSSSQaE" if kind == "runs" else "NNNNLRBejAV/f"
                reference.append((at, str(rng.choice(list(symbols))), 0, ""))
            if kind == "af":
                at += 10
                reference.append((at, "+", 0, "(N"))
        at += int(rng.uniform(0.2, 0.9) * fs)
    test = []
    shift = 1.0 if rng.random() < 0.5 else 3.0
    for sample, symbol, subtype, note in reference:
        if symbol in "[]~+":
            if rng.random() < 0.6 or symbol in "]+":
                test.append((sample + 7, symbol, subtype, note))
        elif symbol != "!" and rng.random() > 0.06:
            moved = sample + int(rng.normal(0, 0.03 * shift * fs))
            same = {"a": "S", "A": "S", "E": "V", "/": "Q", "f": "Q", "j": "S"}.get(symbol, symbol)
            test.append((moved, same if rng.random() > 0.15 else str(rng.choice(list("NSVFQ"))), 0, ""))
            if rng.random() < 0.06:
                test.append((moved + int(rng.uniform(0.05, 0.5) * fs), str(rng.choice(list("NSVFQ"))), 0, ""))
        elif symbol == "!" and rng.random() < 0.4:
            test.append((sample, str(rng.choice(list("NV"))), 0, ""))
        if symbol == "~" and subtype == -1:
            test += [(sample + int(k * fs), "N", 0, "") for k in (0.3, 0.9)]
    for _ in range(2):
        first = int(rng.uniform(22, 80) * fs)
        last = first + int(rng.uniform(1, 4) * fs)
        test = [mark for mark in test if not first <= mark[0] <= last]
        test += [(first, "~", -1, ""), (last, "~", 0, "")]
    ended = _ended(sorted({mark[0]: mark for mark in test if fs // 2 < mark[0] < length}.values()))
    return _ended(sorted({mark[0]: mark for mark in reference if mark[0] < length}.values())), ended


def _ended(marks):
    """Episodes that are begun once and then ended; an end without a beginning is left out."""
    out, vf = [], False
    for mark in marks:
        if mark[1] == "[" or (mark[1] == "]" and vf):
            if mark[1] == "[" and vf:
                continue
            vf = mark[1] == "["
        elif mark[1] == "]" or (vf and mark[1] == "+"):
            continue
        out.append(mark)
    return [mark for mark in out if not (vf and mark[0] >= max(m[0] for m in out if m[1] == "["))]


def count(program, folder, fs, marks, start):
    """What the program prints."""
    for extension, one in zip(("atr", "tst"), marks, strict=True):
        sample, symbol, subtype, note = zip(*one, strict=True)
        wfdb.wrann(
            "r", extension, np.array(sample), list(symbol), np.array(subtype), aux_note=list(note), fs=fs,
            write_dir=str(folder),
        )  # fmt: skip
    done = subprocess.run(
        [program, "-r", "r", "-a", "atr", "tst", "-S", "-", "-f", str(start)],
        cwd=folder, env={"WFDB": "."}, capture_output=True, text=True,
    )  # fmt: skip
    rows = [[int(n) for n in line.split("|")[1].split()] for line in done.stdout.splitlines() if "|" in line]
    return rows, done.stdout


def main():
    bxb, rxr = (str(Path(word).resolve()) for word in sys.argv[1:3])
    rng, cases = np.random.default_rng(57), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        while len(cases) < CASES:
            fs, start = int(rng.choice((128, 250, 360))), int(rng.choice((0, 20)))
            length = 90 * fs
            marks = draw(rng, fs, length)
            (folder / "r.hea").write_text(f"r 1 {fs} {length}\nr.dat 16 200 16 0 0 0 0 ECG\n")
            confusion, words = count(bxb, folder, fs, marks, start)
            runs, _ = count(rxr, folder, fs, marks, start)
            error = re.search(r"RR interval error: +([\d.]+) ms", words)
            assert len(confusion) == 7 and len(runs) == 28, words
            reference, test = (" ".join(_word(mark) for mark in one) for one in marks)
            cases.append(
                {
                    "fs": fs, "length": length, "from_s": start, "reference": reference, "test": test,
                    "confusion": [row + [0] * (7 - len(row)) for row in confusion],
                    "rr_error_ms": float(error[1]) if error else None,
                    "shutdown_s": int(re.search(r"shutdown time: +(\d+)", words)[1]),
                    # The corner 0, 0 is not printed.
                    "runs": [[[0] * (7 - len(row)) + row for row in runs[k : k + 7]] for k in range(0, 28, 7)],
                }
            )  # fmt: skip
    print("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]")


def _word(mark):
    sample, symbol, subtype, note = mark
    return f"{sample}{symbol}{subtype or ''}{note}"


if __name__ == "__main__":
    main()
