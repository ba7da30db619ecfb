"""The table of the best of each budget and horizon, in every form it is written in."""

import html
import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from mlproject.analysis.report.best import BY_ESTIMATE
from mlproject.text.escaping import for_spreadsheet
from mlproject.text.tables import markdown_lines

_COLUMNS = {
    "budget": "budget",
    "target": "target",
    "trials": "trials",
    "chosen_by": "chosen by",
    "d_model": "d_model",
    "n_layers": "n_layers",
    "n_heads": "n_heads",
    "d_ff": "d_ff",
    "param_count": "parameters",
    "learning_rate": "learning rate",
    "number": "trial",
    "origin": "origin",
    "expected_loss": "expected loss",
    "expected_interval": "interval",
    "probability_best": "is the best",
    "among_best": "not told from the best",
    "val_loss_adjusted": "adjusted",
    "prior_loss": "prior",
    "skill_adjusted": "adjusted skill",
    "verdict_prior": "against the prior",
    "verdict_baselines": "against baselines",
    "luckiest": "luckiest trial",
    "luckiest_architecture": "its architecture",
    "loss": "luckiest loss",
    "skill": "luckiest skill",
}
_LIMITS = ("expected_low", "expected_high")
_LOSSES = {"loss", "prior_loss", "val_loss_adjusted", "expected_loss", *_LIMITS}
_LATEX_SPECIAL = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_UNKNOWN = "–"


def best_csv(best: pd.DataFrame) -> str:
    """The table as CSV: all figures at full precision, and the runs."""
    columns = ["study", "horizon_days", "task"]
    for name in _COLUMNS:
        if name == "expected_interval":
            columns += [*_LIMITS, "confidence"]
        elif name == "among_best":
            columns += ["among_best", "tried"]
        elif name != "target":
            columns.append(name)
    runs = ["run_id", "luckiest_run_id"]
    return str(for_spreadsheet(best[[*columns, *runs]]).to_csv(index=False))


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
        limits = [_text(each, row[each]) for each in _LIMITS]
        if _UNKNOWN in limits:
            return _UNKNOWN
        return f"{' to '.join(limits)} ({row['confidence']:.0%})"
    if name == "among_best":
        of = "" if pd.isna(row["tried"]) else f" of {row['tried']}"
        kind = "architectures" if row["chosen_by"] == BY_ESTIMATE else "widths and depths"
        return f"{row['among_best']}{of} {kind}"
    return _text(name, row[name])


def _text(name: str, value: object) -> str:
    """The value of a column as a person reads it."""
    if isinstance(value, float) and not math.isfinite(value):
        return _UNKNOWN
    if name in _LOSSES:
        return f"{value:.4f}"
    if name in {"skill", "skill_adjusted"}:
        return f"{value:+.1%}"
    if name == "probability_best":
        return f"{value:.0%}"
    if name == "learning_rate":
        return f"{value:.1e}"
    return f"{value:,}" if name == "param_count" else str(value)


def _escaped(text: str) -> str:
    return "".join(_LATEX_SPECIAL.get(sign, sign) for sign in text).replace("–", "--")
