"""The checks that every recovered study has to pass.

To add one, add a line: an expectation of Great Expectations over the columns of
`recovery.checks.table`, how grave it is, and what to say of a row that fails it. A row that fails a
`critical` check is quarantined, one that fails a `warning` check comes in with that warning as a
tag.
"""

import math
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
from great_expectations.expectations.row_conditions import Column

from mlproject.models.budget import TOLERANCE
from mlproject.tracking.names import TrialState
from mlproject.training.epoch_metrics import EXPLODED_LOSS
from mlproject.training.settings import HYPERPARAMETERS
from recovery.checks import advice as texts

ROW = "row"
MESSAGE = "message"
ADVICE = "advice"
"""What a person can do about a row that fails a check."""

_WITH_ARCHITECTURE = Column("has_architecture") == 1
_COMPLETE = Column("state") == str(TrialState.COMPLETE)


def build_suite() -> gx.ExpectationSuite:
    """The suite, in the order in which reasons are given."""
    critical, warning = "critical", "warning"
    return gx.ExpectationSuite(
        name="recovered trials",
        expectations=[
            gxe.ExpectTableRowCountToBeBetween(
                min_value=1,
                severity=critical,
                meta={MESSAGE: "its study has no trial", ADVICE: texts.NOTHING},
            ),
            *(
                _check(
                    gxe.ExpectColumnValuesToNotBeNull,
                    critical,
                    f"its {column} is not known",
                    column=column,
                )
                for column in ("study_name", "trial_number", "state")
            ),
            _between(
                "contradictions",
                critical,
                "its lines contradict each other",
                most=0,
                advice=texts.MIXED,
            ),
            _check(
                gxe.ExpectCompoundColumnsToBeUnique,
                critical,
                "another trial of this launch has its number",
                column_list=["launch", "trial_number"],
                advice=texts.MIXED,
            ),
            _check(
                gxe.ExpectColumnValuesToBeInSet,
                critical,
                "its state is none of Optuna's",
                column="state",
                value_set=[str(state) for state in TrialState],
            ),
            *(
                _check(
                    gxe.ExpectColumnValuesToNotBeNull,
                    critical,
                    "no line near it says when it ran",
                    column=column,
                    advice=texts.TIMES,
                )
                for column in ("started_ms", "ended_ms")
            ),
            _between(
                "duration_ms", critical, "it ends before it starts", least=0, advice=texts.TIMES
            ),
            _check(
                gxe.ExpectColumnValuesToNotBeNull,
                critical,
                "it is complete, but its value is not known",
                column="value",
                row_condition=_COMPLETE,
            ),
            _between("best_val_loss", critical, "its value is negative, as no loss is", least=0),
            _check(
                gxe.ExpectColumnValuesToNotBeNull,
                critical,
                "its n_layers is not known",
                column="n_layers",
                row_condition=_WITH_ARCHITECTURE,
            ),
            *(
                _between(column, critical, f"its {column} is impossible", least=1)
                for column in ("d_model", "n_layers", "n_heads", "d_ff")
            ),
            _between("heads_remainder", critical, "n_heads does not divide d_model", most=0),
            _between(
                "unexplained_parameters",
                critical,
                "its parameter count is not what the formula gives",
                least=0,
                most=0,
            ),
            _between(
                "budget_gap",
                critical,
                "its parameter count is outside the budget of its study",
                most=float(TOLERANCE),
            ),
            *(
                _between(
                    row.name,
                    critical,
                    f"its {row.name} is impossible",
                    least=row.least,
                    most=row.most if math.isfinite(row.most) else None,
                )
                for row in HYPERPARAMETERS
            ),
            _between("best_val_loss", warning, "it diverged", most=EXPLODED_LOSS),
            _check(
                gxe.ExpectColumnValuesToNotBeNull,
                warning,
                "its architecture is not known",
                column="d_model",
                advice=texts.OTHER_SOURCE,
            ),
            *(
                _check(
                    gxe.ExpectColumnValuesToNotBeNull,
                    warning,
                    f"its {column} is not proven",
                    column=column,
                    advice=texts.OTHER_SOURCE,
                    row_condition=_WITH_ARCHITECTURE,
                )
                for column in ("param_count", "n_heads", "d_ff")
            ),
            _between(
                "missing_before",
                warning,
                "the trial before it is missing",
                most=0,
                advice=texts.OTHER_SOURCE,
            ),
            _check(
                gxe.ExpectCompoundColumnsToBeUnique,
                warning,
                "another launch of the study has a trial of its number",
                column_list=["study_name", "trial_number"],
            ),
            _check(
                gxe.ExpectColumnValuesToBeInSet,
                warning,
                "its times are bounds, not logged",
                column="times_from",
                value_set=["log"],
                advice=texts.OTHER_SOURCE,
            ),
        ],
    )


def _between(
    column: str,
    severity: str,
    message: str,
    *,
    least: float | None = None,
    most: float | None = None,
    advice: str | None = None,
) -> gxe.Expectation:
    return _check(
        gxe.ExpectColumnValuesToBeBetween,
        severity,
        message,
        column=column,
        min_value=least,
        max_value=most,
        advice=advice,
    )


def _check(
    expectation: type[gxe.Expectation],
    severity: str,
    message: str,
    *,
    advice: str | None = None,
    **arguments: Any,
) -> gxe.Expectation:
    usual = texts.OPEN_THE_LOG if severity == "critical" else texts.NOTHING
    meta = {MESSAGE: message, ADVICE: advice or usual}
    return expectation(severity=severity, meta=meta, **arguments)
