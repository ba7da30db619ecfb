"""The whole note of a study's parent run: how it stands, where to look, and its settings.

How it stands is said by `mlproject.analysis.summary.note`.
"""

from mlproject.analysis.summary.settings_tables import settings_in_words
from mlproject.text.escaping import for_markdown
from mlproject.tracking.description import description_tags
from mlproject.tracking.names import CONTROL_TAG, NOTE_TAG
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.study_run import log_study_values
from mlproject.tracking.ui_links import study_links

_STEERING = (
    f"While it runs, the tag `{CONTROL_TAG}` steers it: pause, resume, stop, stop now, n_trials=80."
)


def begin_note(store: TrackingStore, parent_run_id: str, study_name: str) -> None:
    """Give a study that has no note yet one that holds until its launch ends."""
    if NOTE_TAG not in store.client.get_run(parent_run_id).data.tags:
        text = (
            f"**{for_markdown(study_name)}** has begun. How it stands is said here at the end of "
            "each launch; until then its trials tell."
        )
        note = note_of_study(store, parent_run_id, study_name, text)
        tags = description_tags(store, parent_run_id, note)
        log_study_values(store, parent_run_id, metrics={}, tags=tags)


def note_of_study(
    store: TrackingStore, parent_run_id: str, study_name: str, how_it_stands: str
) -> str:
    """`how_it_stands`, with links to the trials behind its first paragraph, then the settings.

    The UI shows the first lines of a note, and the rest on request.
    """
    params = store.client.get_run(parent_run_id).data.params
    links = f"{study_links(store, study_name).as_markdown()}. {_STEERING}"
    first, _, rest = how_it_stands.partition("\n\n")
    parts = [first, links, *([rest] if rest else [])]
    return "\n".join(["\n\n".join(parts), *settings_in_words(params)])
