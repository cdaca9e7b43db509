"""In what are composed rhythms unlike recorded ones? Features of beats of each class, side by side.

    python -m bench.composed_features

What is learnt of rhythms is learnt mostly from composed ones. Where a class of beats has other features there than in
recordings, the network learns what holds for composed patients alone. The first lead of recordings of MIT-BIH's
training half and of svdb's even half against composed rhythms of the same patients and of strips; of each recording and
each composed rhythm so many beats of a class count at most. The difference is that of five quantiles, the mean of their
absolute values, in standard deviations of all beats of the class.
"""

import argparse
import sys

import numpy as np

from monitor import config
from monitor.beats import FEATURES
from monitor.errors import UserError
from monitor.events import CLASSES
from monitor.filters import Doubles
from trainer.pool import Prepared, orders, prepared
from trainer.protocols import PROTOCOLS

_PROTOCOL = "between-patients-strict+svdb"
_CLASSES = ("N", "S", "V")
_BEATS = 60
"""Of a class and a recording or composed rhythm, at most: so that nobody's many ectopic beats are the class."""
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_SHOWN = (0, 2, 4)
"""Those of them that are printed."""
_CONSTANT = 1e-9
"""Standard deviation up to which a feature is the same everywhere."""


def beats_of(sequences: list[Prepared], label: int, rng: np.random.Generator) -> Doubles:
    """[beat, feature] of a class, some of everyone's."""
    found = [np.zeros((0, len(FEATURES)))]
    for one in sequences:
        at = np.flatnonzero(one.labels == label)
        found.append(one.f[rng.permutation(at)[:_BEATS]].astype(np.float64))
    return np.concatenate(found)


def apart(recorded: Doubles, composed: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Differences [feature], and the quantiles [quantile, feature] of either side; both have beats."""
    first, second = (np.quantile(side, _QUANTILES, axis=0) for side in (recorded, composed))
    spread = np.concatenate((recorded, composed)).std(axis=0)
    return np.abs(first - second).mean(axis=0) / np.maximum(spread, _CONSTANT), first, second


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.composed_features",
        description="Features of composed beats beside those of recorded ones.",
    )
    parser.add_argument("--every", type=int, default=12, metavar="N", help="composed rhythms looked at (12: one of 12)")
    parser.add_argument("--most", type=int, default=10, metavar="N", help="features shown of each class (10)")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="that prepare the beats (2)")
    given = parser.parse_args(words)
    settings = config.load()
    try:
        if min(given.every, given.most, given.processes) < 1:
            raise UserError("--every, --most and --processes are 1 at least")
        protocol = PROTOCOLS[_PROTOCOL].final()
        everything = orders(protocol, 0, 1, 1, 1, settings)
        wanted = [one for one in everything if one.kind == "recorded" and one.lead == 0]
        wanted += [one for one in everything if one.kind == "composed"][:: given.every]
        some = prepared(wanted, protocol, settings, given.processes)
        rng = np.random.default_rng(0)
        for name in _CLASSES:
            sides = [
                beats_of([one for one in some if one.order.kind == kind], CLASSES.index(name), rng)
                for kind in ("recorded", "composed")
            ]
            if not all(len(side) for side in sides):
                raise UserError(f"--every {given.every}: no beats of class {name} on one side; a smaller N has more")
            print(f"\n{name}: {len(sides[0])} recorded, {len(sides[1])} composed beats; quantiles .1, .5, .9\n")
            print("| feature | apart | recorded | composed |")
            print("|---|---|---|---|")
            difference, *quantiles = apart(*sides)
            for k in np.argsort(-difference)[: given.most]:
                shown = [" ".join(f"{side[q, k]:.2f}" for q in _SHOWN) for side in quantiles]
                print(f"| {FEATURES[k]} | {difference[k]:.2f} | {shown[0]} | {shown[1]} |")
    except UserError as error:
        print(f"composed_features: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
