"""The texts of an audit: for the terminal, as Markdown for a person, as JSON for a program."""

import json
from collections.abc import Sequence

from mlproject.analysis.audit.checks import CHECKS, COLUMNS
from mlproject.analysis.audit.findings import (
    ExperimentAudit,
    Finding,
    FindingKind,
    RunRef,
    StudyAudit,
)
from mlproject.text.escaping import for_terminal
from mlproject.text.tables import aligned_lines, markdown_cell, markdown_lines

_SHOWN_RUNS = 8


def as_text(audit: ExperimentAudit) -> str:
    """The audit for the terminal: one line per study, then each finding with its trials."""
    lines = aligned_lines(_table(audit))
    for study in audit.studies:
        if study.findings:
            lines += ["", study.study_name]
            lines += [f"  {_sign(f)} {_said(f)}" for f in study.findings]
    return for_terminal("\n".join([*lines, "", summary(audit)]))


def as_markdown(audit: ExperimentAudit) -> str:
    """The audit as a document in Markdown: findings by kind, every run by its id."""
    head, *rows = _table(audit)
    lines = [f"# Audit of {markdown_cell(audit.experiment)}", "", markdown_cell(summary(audit)), ""]
    lines += markdown_lines(head, rows)
    for study in audit.studies:
        lines += ["", f"## {markdown_cell(study.study_name)}", ""]
        lines += [f"Run `{study.run_id}`. " + ("" if study.findings else "Nothing is amiss.")]
        for kind in CHECKS:
            found = [f for f in study.findings if f.kind is kind]
            if found:
                lines += ["", f"**{kind.title}** ({kind.advice})", ""]
                lines += [
                    f"- {_repaired(f)}{markdown_cell(f.text)}{_run_ids(f.runs)}" for f in found
                ]
    return "\n".join([*lines, ""])


def as_json(audit: ExperimentAudit) -> str:
    """The audit as JSON: every field of `ExperimentAudit`, and whether it is clean."""
    content = vars(audit) | {"is_clean": audit.is_clean}
    return json.dumps(content, default=_for_json, indent=2) + "\n"


def summary(audit: ExperimentAudit) -> str:
    """How the experiment stands, in one line."""
    if not audit.studies:
        line = f"{audit.experiment} holds no study"
    else:
        found = sum(len(study.open_findings) for study in audit.studies)
        advice = sum(len(study.advice) for study in audit.studies)
        good = sum(len(study.findings) for study in audit.studies) - found - advice
        line = f"{audit.experiment}: {len(audit.studies)} studies, {found} findings"
        line += f", {good} more made good already" if good else ""
        line += f", {advice} about the search itself" if advice else ""
    if audit.foreign_runs:
        line += f"; {audit.foreign_runs} runs of other shapes left out"
    return line


def _table(audit: ExperimentAudit) -> list[list[str]]:
    return [["study", "trials", *COLUMNS], *(_study_row(study) for study in audit.studies)]


def _study_row(study: StudyAudit) -> list[str]:
    counts = []
    for kind in COLUMNS.values():
        count = sum(max(1, len(f.runs)) for f in study.open_findings if f.kind is kind)
        counts.append(str(count) if count else "·")
    return [study.study_name, f"{study.finished}/{study.planned}", *counts]


def _sign(finding: Finding) -> str:
    if finding.kind.is_advice:
        return "→"
    return "✓" if finding.repaired else "✗"


def _repaired(finding: Finding) -> str:
    return "made good: " if finding.repaired else ""


def _said(finding: Finding) -> str:
    if not finding.runs or finding.kind.names_trials:
        return finding.text
    numbers = [str(ref.trial_number) for ref in finding.runs]
    rest = f" and {len(numbers) - _SHOWN_RUNS} more" if len(numbers) > _SHOWN_RUNS else ""
    return f"{finding.text} [trial {', '.join(numbers[:_SHOWN_RUNS])}{rest}]"


def _run_ids(runs: Sequence[RunRef]) -> str:
    ids = ", ".join(f"trial {ref.trial_number} `{ref.run_id}`" for ref in runs)
    return f": {ids}" if ids else ""


def _for_json(value: object) -> object:
    """A kind as its title, other dataclasses as fields, a finding with whether it is advice."""
    if isinstance(value, FindingKind):
        return value.title
    return vars(value) | ({"is_advice": value.kind.is_advice} if isinstance(value, Finding) else {})
