"""A run's description in MLflow, which belongs to the user as much as to this program."""

from mlproject.tracking.names import NOTE_TAG, SUMMARY_TAG, Tag
from mlproject.tracking.store import TrackingStore


def description_tags(store: TrackingStore, run_id: str, summary: str) -> dict[str, str]:
    """Return the tags that bring the description up to date: one call, which reads the run."""
    tags = store.client.get_run(run_id).data.tags
    name = tags.get(Tag.STUDY_NAME, "")
    description = renewed(tags.get(NOTE_TAG, ""), tags.get(SUMMARY_TAG), summary, study_name=name)
    return {SUMMARY_TAG: summary, NOTE_TAG: description}


def renewed(description: str, written: str | None, summary: str, *, study_name: str) -> str:
    """Return the description with this program's part of it renewed, and nothing else.

    What was `written` last is replaced where it still stands as it was; a description without it is
    the user's own, and stays. Earlier versions did not say what they wrote: it begins with the
    study's name.
    """
    description = description.replace("\r\n", "\n")
    if not description.strip():
        return summary
    if written:
        return description.replace(written.strip(), summary, 1)
    is_written = description.startswith(f"**{study_name}**")
    return summary if is_written else description
