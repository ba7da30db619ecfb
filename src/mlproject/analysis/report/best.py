"""The table of the best architecture of each budget and horizon, in every form it is written in."""

import html
import math

import pandas as pd

from mlproject.text.escaping import for_spreadsheet
from mlproject.text.tables import markdown_lines

_COLUMNS = {
    "budget": "budget",
    "target": "target",
    "trials": "trials",
    "loss": "loss",
    "prior_loss": "prior",
    "skill": "skill",
    "d_model": "d_model",
    "n_layers": "n_layers",
    "n_heads": "n_heads",
    "d_ff": "d_ff",
    "param_count": "parameters",
    "learning_rate": "learning rate",
    "number": "trial",
    "origin": "origin",
}
_LATEX_SPECIAL = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_UNKNOWN = "–"


def best_architectures(frame: pd.DataFrame) -> pd.DataFrame:
    """The trial of lowest loss of each study, with the number of trials it was chosen from.

    The lowest of many losses is a lucky one: the architecture would hardly give it again.
    """
    best = frame.loc[frame.groupby("study", sort=False)["loss"].idxmin()].copy()
    best["trials"] = best["study"].map(frame["study"].value_counts())
    best["skill"] = 1 - best["loss"] / best["prior_loss"]
    order = ["horizon_days", "task", "budget_parameters", "study"]
    return best.sort_values(order, ignore_index=True)


def best_csv(best: pd.DataFrame) -> str:
    """The table as CSV: all figures at full precision, and the run of each."""
    columns = ["study", "horizon_days", "task", *(c for c in _COLUMNS if c != "target"), "run_id"]
    return str(for_spreadsheet(best[columns]).to_csv(index=False))


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
    return [[_cell(name, row[name]) for name in _COLUMNS] for row in best.to_dict("records")]


def _cell(name: str, value: object) -> str:
    """The value of a column as a person reads it."""
    if isinstance(value, float) and math.isnan(value):
        return _UNKNOWN
    if name in {"loss", "prior_loss"}:
        return f"{value:.4f}"
    if name == "skill":
        return f"{value:+.1%}"
    if name == "learning_rate":
        return f"{value:.1e}"
    return f"{value:,}" if name == "param_count" else str(value)


def _escaped(text: str) -> str:
    return "".join(_LATEX_SPECIAL.get(sign, sign) for sign in text).replace("–", "--")
