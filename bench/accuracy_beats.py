"""Beat classes against the reference annotations, beside what is published.

    python -m bench.accuracy_beats

The weights that ship, the whole pipeline, our own R peaks, streaming, first lead, first verdict; DS2.
"""

import sys

from monitor import config
from monitor.checkpoint import SHIPPED, load
from trainer.evaluate import Result, evaluate, scores, table
from trainer.protocols import PROTOCOLS

PUBLISHED = """\
Published, DS1 → DS2, all with reference R peaks and none strictly causal (S F1, V F1):
  de Chazal 2004 (two leads)              .51  .80
  Niu 2020                                .77  .90
  Farag 2023 (needs the next beat)        .82  .95
  Teijeiro 2018 (rules, clustering)       .85  .96"""


def main() -> None:
    network, origin = load(SHIPPED)

    def tell(result: Result) -> None:
        print(f"{result.record} V F1 {scores(result.confusion)['V'][2]:.3f}", file=sys.stderr)

    results = evaluate(PROTOCOLS["between-patients"].test, network, config.load(), tell)
    made = f"{origin['protocol']}, seed {origin['recipe']['seed']}, commit {origin['commit']}"
    print(f"weights: {made}; DS2, 22 records\n")
    print(table(results))
    print()
    print(PUBLISHED)


if __name__ == "__main__":
    main()
