"""How often the program claims what is not so, and how often it finds what is.

    python -m benchmarks.claims

simulates studies and evaluations of which the truth is known, gives them to the functions that make
the claims, and prints the Markdown tables of docs/claims.md, in some minutes on one core. Seeds are
fixed. `python -m benchmarks.claims scale evaluate` prints some of the parts, `--repeats 100` fewer
repeats.

A part is a module with functions that give tables; it is named in `PARTS`.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks import (
    claims_of_evaluation,
    claims_of_recommendation,
    claims_of_report,
    claims_of_studies,
    claims_of_verdicts,
)

Part = Callable[[int], Iterator[str]]

REPEATS = 400
"""Of each cell of a table; a share of 5 % is then known to about one per cent."""
SLOW = {"recommended", "effects", "evaluate"}
"""Parts that have half as many."""

PARTS: Mapping[str, Sequence[Part]] = {
    "studies": (claims_of_studies.verdicts,),
    "verdicts": (claims_of_verdicts.false_better, claims_of_verdicts.adjusted_losses),
    "scale": (claims_of_report.false_claims_of_scale, claims_of_report.power_of_scale),
    "recommended": (claims_of_recommendation.sets,),
    "shapes": (claims_of_report.shapes,),
    "effects": (claims_of_report.effects,),
    "evaluate": (
        claims_of_evaluation.false_verdicts,
        claims_of_evaluation.false_verdicts_of_seeds,
        claims_of_evaluation.false_wins,
        claims_of_evaluation.power,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.parts) - PARTS.keys())
    if unknown:
        parser.error(f"no part {unknown[0]!r}: there are {', '.join(PARTS)}")
    for name in chosen.parts or PARTS:
        for part in PARTS[name]:
            started = time.perf_counter()
            for line in part(max(1, chosen.repeats // (1 + (name in SLOW)))):
                print(line, flush=True)
            print(f"\n<!-- {part.__name__}: {time.perf_counter() - started:.0f} s -->\n")


if __name__ == "__main__":
    main()
