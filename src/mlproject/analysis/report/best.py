"""The table of the best of each budget and horizon, in every form it is written in."""

import html
import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from mlproject.analysis.claims.cell_estimates import CONFIDENCE
from mlproject.analysis.report.shapes import shape_estimates
from mlproject.text.escaping import for_spreadsheet
from mlproject.text.tables import markdown_lines

_COLUMNS = {
    "budget": "budget",
    "target": "target",
    "trials": "trials",
    "expected_loss": "expected of its shape",
    "expected_interval": f"{CONFIDENCE:.0%} interval",
    "among_best": "not told from the best",
    "loss": "luckiest loss",
    "val_loss_adjusted": "adjusted",
    "prior_loss": "prior",
    "skill": "luckiest skill",
    "skill_adjusted": "adjusted skill",
    "verdict_prior": "against the prior",
    "verdict_baselines": "against baselines",
    "d_model": "d_model",
    "n_layers": "n_layers",
    "n_heads": "n_heads",
    "d_ff": "d_ff",
    "param_count": "parameters",
    "learning_rate": "learning rate",
    "number": "trial",
    "origin": "origin",
}
_LOSSES = {
    *("loss", "prior_loss", "val_loss_adjusted"),
    *("expected_loss", "expected_low", "expected_high"),
}
_LATEX_SPECIAL = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_UNKNOWN = "–"


def best_architectures(frame: pd.DataFrame) -> pd.DataFrame:
    """The luckiest trial of each study, and what is to be expected of its width and depth.

    The lowest of many losses is a lucky one, twice over. Its seed was lucky: the expected loss is
    what trials of its width, depth and learning rate may be expected to have on the same days, and
    `expected_low` and `expected_high` are the limits of that expectation. And it was chosen by
    these days: `val_loss_adjusted` and `skill_adjusted`, the study's own where it has them, are
    what was chosen by some days is worth on others. `among_best` says how many of the `shapes` that
    were tried cannot be told from the best of them.
    """
    best = frame.loc[frame.groupby("study", sort=False)["loss"].idxmin()].copy()
    best["trials"] = best["study"].map(frame["study"].value_counts())
    best["skill"] = 1 - best["loss"] / best["prior_loss"]
    expected = pd.DataFrame(
        [_expected(frame[frame["study"] == row["study"]], index) for index, row in best.iterrows()],
        index=best.index,
    )
    best = best.join(expected)
    order = ["horizon_days", "task", "budget_parameters", "study"]
    return best.sort_values(order, ignore_index=True)


def _expected(trials: pd.DataFrame, luckiest: Hashable) -> dict[str, float]:
    """What is to be expected of the luckiest trial of a study; NaN where nothing is."""
    estimates = shape_estimates(trials)
    place = trials.index.get_loc(luckiest)
    expected = float(estimates.of_trials.losses[place])
    reach = estimates.reach * float(estimates.of_trials.errors[place])
    return {
        "expected_loss": expected,
        "expected_low": expected - reach,
        "expected_high": expected + reach,
        "among_best": int(estimates.among_best.sum()),
        "shapes": len(estimates.cells),
    }


def best_csv(best: pd.DataFrame) -> str:
    """The table as CSV: all figures at full precision, and the run of each."""
    columns = ["study", "horizon_days", "task"]
    for name in _COLUMNS:
        if name == "expected_interval":
            columns += ["expected_low", "expected_high"]
        elif name == "among_best":
            columns += ["among_best", "shapes"]
        elif name != "target":
            columns.append(name)
    return str(for_spreadsheet(best[[*columns, "run_id"]]).to_csv(index=False))


def best_markdown(best: pd.DataFrame) -> str:
    """The table in Markdown."""
    return "\n".join([*markdown_lines(list(_COLUMNS.values()), _cells(best)), ""])


def best_html(best: pd.DataFrame) -> str:
    """The table as HTML."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in _COLUMNS.values())
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
        for row in _cells(best)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def best_latex(best: pd.DataFrame) -> str:
    """The table as a LaTeX `tabular`, to be used with the package booktabs."""
    rows = [" & ".join(_escaped(cell) for cell in row) + r" \\" for row in _cells(best)]
    head = " & ".join(_escaped(name) for name in _COLUMNS.values()) + r" \\"
    columns = "ll" + "r" * (len(_COLUMNS) - 3) + "l"
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _cells(best: pd.DataFrame) -> list[list[str]]:
    return [[_cell(name, row) for name in _COLUMNS] for row in best.to_dict("records")]


def _cell(name: str, row: Mapping[Hashable, Any]) -> str:
    """What stands in a column of a row."""
    if name == "expected_interval":
        limits = [_text(each, row[each]) for each in ("expected_low", "expected_high")]
        return _UNKNOWN if _UNKNOWN in limits else " to ".join(limits)
    if name == "among_best":
        return f"{row['among_best']} of {row['shapes']}"
    return _text(name, row[name])


def _text(name: str, value: object) -> str:
    """The value of a column as a person reads it."""
    if isinstance(value, float) and not math.isfinite(value):
        return _UNKNOWN
    if name in _LOSSES:
        return f"{value:.4f}"
    if name in {"skill", "skill_adjusted"}:
        return f"{value:+.1%}"
    if name == "learning_rate":
        return f"{value:.1e}"
    return f"{value:,}" if name == "param_count" else str(value)


def _escaped(text: str) -> str:
    return "".join(_LATEX_SPECIAL.get(sign, sign) for sign in text).replace("–", "--")
