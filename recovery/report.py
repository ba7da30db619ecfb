"""What a backfill or an inspection tells the user, as lines of text."""

from collections.abc import Iterator

from recovery.records import Accounting
from recovery.sources.collect import Collection
from recovery.write.plan import StudyPlan


def accounting_lines(collection: Collection, zone: str) -> Iterator[str]:
    """Where every line of every source went."""
    for accounting in collection.accounting:
        yield from _source_lines(accounting)
    merged = f", {collection.merged} of them told of twice" if collection.merged else ""
    studies = len(collection.studies)
    yield f"{collection.trials} trials in {studies} studies{merged}; times are {zone}"


def study_lines(plan: StudyPlan, outcome: str) -> Iterator[str]:
    """One study: what is proven, what comes in, what stays out and why."""
    grid = plan.study.grid or "no known grid explains it"
    yield (
        f"{plan.study.study_name}: {len(plan.runs)} trials {outcome}, "
        f"{plan.quarantined} quarantined; grid {grid}"
    )
    for row, reasons in plan.validation.errors.items():
        record = plan.study.trials[row].record
        where = f"{record.source}:{record.first_line}" if record.first_line else record.source
        yield f"  quarantined: trial {record.trial_number} ({where}): {'; '.join(reasons)}"
    counts: dict[str, int] = {}
    for warnings in plan.validation.warnings.values():
        for warning in warnings:
            counts[warning] = counts.get(warning, 0) + 1
    for warning, count in counts.items():
        yield f"  warning: {count} × {warning}"


def _source_lines(accounting: Accounting) -> Iterator[str]:
    if not accounting.lines:
        yield f"{accounting.source}: {accounting.trials} trials"
        return
    rejected = sum(accounting.rejected.values())
    noise = sum(accounting.noise.values())
    yield (
        f"{accounting.source}: {accounting.lines:,} lines = {accounting.in_records:,} in "
        f"{accounting.trials:,} trials + {accounting.repeated:,} repeated + {rejected:,} rejected "
        f"+ {noise:,} noise"
    )
    for reason, count in accounting.rejected.items():
        yield f"  rejected: {count:,} × {reason} (first at line {accounting.examples[reason]})"
    if noise:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in accounting.noise.most_common())
        yield f"  noise: {kinds}"
