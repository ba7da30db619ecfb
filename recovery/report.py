"""What a backfill or an inspection tells the user, as lines of text."""

from collections import Counter
from collections.abc import Iterator

from mlproject.tracking.names import TrialState
from recovery.records import Accounting
from recovery.sources.collect import Collection
from recovery.sources.find import MAX_NAMES
from recovery.write.plan import StudyPlan


def accounting_lines(collection: Collection, zone: str) -> Iterator[str]:
    """Where every line of every source went."""
    for accounting in collection.accounting:
        yield from _source_lines(accounting)
    if collection.passed_over:
        names = ", ".join(collection.passed_over[:MAX_NAMES])
        more = len(collection.passed_over) - MAX_NAMES
        yield f"not read, for no line of a study is in them: {names}" + (
            f" and {more} more" if more > 0 else ""
        )
    merged = f", {collection.merged} of them told of twice" if collection.merged else ""
    studies = len(collection.studies)
    yield f"{collection.trials} trials in {studies} studies{merged}; times are {zone}"


def study_lines(plan: StudyPlan, outcome: str) -> Iterator[str]:
    """One study: what is proven, what comes in, what stays out and why."""
    grid = plan.study.grid or "no known grid explains it"
    states = Counter(str(run.state) for run in plan.runs)
    counts = ", ".join(f"{states[state]} {state}" for state in TrialState if states[state])
    yield (
        f"{plan.study.study_name}: {len(plan.runs)} trials {outcome}, "
        f"{plan.quarantined} quarantined; grid {grid}"
    )
    if counts:
        yield f"  states: {counts}"
    for row, reasons in plan.validation.errors.items():
        record = plan.study.trials[row].record
        where = f"{record.source}:{record.first_line}" if record.first_line else record.source
        yield f"  quarantined: trial {record.trial_number} ({where}): {'; '.join(reasons)}"
    warnings = Counter(w for each in plan.validation.warnings.values() for w in each)
    for warning, count in warnings.items():
        yield f"  warning: {count} × {warning}"


def shifted_lines(shifted: int, zone: str, are_mended: bool) -> Iterator[str]:
    """What became of runs that an earlier backfill wrote with the times of another zone."""
    if shifted and are_mended:
        yield f"  {shifted} runs had the times of another zone and were written anew as {zone}"
    elif shifted:
        yield (
            f"  remark: {shifted} runs have the times of another zone than {zone}; they stay, "
            "unless --timezone says that they are wrong"
        )


def _source_lines(accounting: Accounting) -> Iterator[str]:
    noise = sum(accounting.noise.values())
    if accounting.lines:
        rejected = sum(accounting.rejected.values())
        yield (
            f"{accounting.source}: {accounting.lines:,} lines = {accounting.in_records:,} in "
            f"{accounting.trials:,} trials + {accounting.repeated:,} repeated + {rejected:,} "
            f"rejected + {noise:,} noise"
        )
    else:
        yield f"{accounting.source}: {accounting.trials} trials"
    if accounting.failure:
        yield f"  not read: {accounting.failure}"
    elif accounting.is_empty and accounting.rejected:
        yield "  no trial in it that can be read, or whose study is known"
    elif accounting.is_empty:
        yield "  no trial in it: is it the log of a study?"
    for reason, count in accounting.rejected.items():
        yield f"  rejected: {count:,} × {reason} (first at line {accounting.examples[reason]})"
    for remark, count in accounting.remarks.items():
        line = accounting.examples.get(remark)
        yield f"  remark: {count:,} × {remark}" + (f" (line {line})" if line else "")
    if noise:
        counts = accounting.noise.most_common()
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in counts if count)
        yield f"  noise: {kinds}"
