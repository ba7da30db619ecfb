"""An audit as a person or a program reads it: a table for the terminal, Markdown, JSON."""

import dataclasses
import json
from collections.abc import Sequence

from mlproject.analysis.audit.findings import ExperimentAudit, Finding, Kind, RunRef, StudyAudit
from mlproject.text.escaping import for_terminal
from mlproject.text.tables import aligned_lines, markdown_cell, markdown_lines

_ADVICE = {
    Kind.MISSING_PARAMS: "the run is not compared where it lacks a value",
    Kind.MISSING_TRIALS: "launch the study again: it goes on where it stands",
    Kind.UNFINISHED: "launch the study again: what its process left is closed and tried again",
    Kind.FAILED: "launch the study again after mending the reason",
    Kind.UNTESTED_VALUE: "supplement the study",
    Kind.UNTESTED_EXTREME: "supplement the study",
    Kind.CONTRADICTION: "look at the run: one of the two is wrong",
    Kind.DUPLICATES: "count them as one",
    Kind.DIVERGED: "a result, of the settings named rather than of the architecture",
}
_COLUMNS = {
    "params": (Kind.MISSING_PARAMS,),
    "failed": (Kind.FAILED,),
    "unfinished": (Kind.UNFINISHED,),
    "diverged": (Kind.DIVERGED,),
    "values": (Kind.UNTESTED_VALUE,),
    "extremes": (Kind.UNTESTED_EXTREME,),
    "contradict": (Kind.CONTRADICTION,),
    "duplicates": (Kind.DUPLICATES,),
}
_SHOWN_RUNS = 8


def as_text(audit: ExperimentAudit) -> str:
    """For the terminal: one line per study, then each finding with its runs."""
    lines = aligned_lines(_table(audit))
    for study in audit.studies:
        if study.findings:
            lines += ["", study.study_name]
            lines += [f"  {_sign(f)} {_said(f)}" for f in study.findings]
    return for_terminal("\n".join([*lines, "", summary(audit)]))


def as_markdown(audit: ExperimentAudit) -> str:
    """The same as a document, every run by its id."""
    head, *rows = _table(audit)
    lines = [f"# Audit of {markdown_cell(audit.experiment)}", "", markdown_cell(summary(audit)), ""]
    lines += markdown_lines(head, rows)
    for study in audit.studies:
        lines += ["", f"## {markdown_cell(study.study_name)}", ""]
        lines += [f"Run `{study.run_id}`. " + ("" if study.findings else "Nothing is amiss.")]
        for kind in Kind:
            found = [f for f in study.findings if f.kind is kind]
            if found:
                lines += ["", f"**{kind}** ({_ADVICE[kind]})", ""]
                lines += [
                    f"- {_repaired(f)}{markdown_cell(f.text)}{_run_ids(f.runs)}" for f in found
                ]
    return "\n".join([*lines, ""])


def as_json(audit: ExperimentAudit) -> str:
    """The same for programs."""
    content = dataclasses.asdict(audit) | {"is_clean": audit.is_clean}
    return json.dumps(content, indent=2) + "\n"


def summary(audit: ExperimentAudit) -> str:
    """One line: how the experiment stands."""
    if not audit.studies:
        line = f"{audit.experiment} holds no study"
    else:
        found = sum(len(study.open_findings) for study in audit.studies)
        good = sum(len(study.findings) for study in audit.studies) - found
        line = f"{audit.experiment}: {len(audit.studies)} studies, {found} findings"
        line += f", {good} more made good already" if good else ""
    if audit.foreign_runs:
        line += f"; {audit.foreign_runs} runs of other shapes left out"
    return line


def _table(audit: ExperimentAudit) -> list[list[str]]:
    return [["study", "trials", *_COLUMNS], *(_study_row(study) for study in audit.studies)]


def _study_row(study: StudyAudit) -> list[str]:
    counts = []
    for kinds in _COLUMNS.values():
        found = [f for f in study.open_findings if f.kind in kinds]
        count = sum(max(1, len(f.runs)) for f in found)
        counts.append(str(count) if count else "·")
    return [study.study_name, f"{study.finished}/{study.planned}", *counts]


def _sign(finding: Finding) -> str:
    return "✓" if finding.repaired else "✗"


def _repaired(finding: Finding) -> str:
    return "made good: " if finding.repaired else ""


def _said(finding: Finding) -> str:
    if not finding.runs or finding.kind is Kind.DUPLICATES:
        return finding.text
    numbers = [str(ref.trial_number) for ref in finding.runs]
    rest = f" and {len(numbers) - _SHOWN_RUNS} more" if len(numbers) > _SHOWN_RUNS else ""
    return f"{finding.text} [trial {', '.join(numbers[:_SHOWN_RUNS])}{rest}]"


def _run_ids(runs: Sequence[RunRef]) -> str:
    ids = ", ".join(f"trial {ref.trial_number} `{ref.run_id}`" for ref in runs)
    return f": {ids}" if ids else ""
