"""Where a study is found in MLflow's UI: kind, saved view, links. The UI itself: end_to_end."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from mlproject.tracking.experiment_kind import KIND_TAG, MODEL_TRAINING
from mlproject.tracking.names import PARENT_RUN_ID_TAG
from mlproject.tracking.saved_view import VIEW_TAG, save_view, view_key
from mlproject.tracking.store import TrackingStore, connect, open_experiment
from mlproject.tracking.ui_links import StudyLinks, UiAddress, study_links, ui_address

STUDY = "phase6a_2M_h3_threshold_1pct"


@pytest.fixture
def store(work_directory: Path) -> TrackingStore:
    return open_experiment(connect("phase6a"))


def _tags(store: TrackingStore) -> dict[str, str]:
    return dict(store.client.get_experiment(store.experiment_id).tags)


def _trial(store: TrackingStore, loss: float, **changes: str) -> str:
    """The run of a complete trial, of `STUDY` unless its tags say otherwise."""
    about = {"task": "threshold_1pct", "horizon": "3", "budget": "2M"}
    tags = {"study_name": STUDY, "origin": "live", "trial_state": "COMPLETE", "trial_number": "0"}
    tags |= {name: value for name, value in changes.items() if name not in about}
    run = store.client.create_run(store.experiment_id, tags={PARENT_RUN_ID_TAG: "parent", **tags})
    for name, value in about.items():
        store.client.log_param(run.info.run_id, name, changes.get(name, value))
    store.client.log_metric(run.info.run_id, "best_val_loss", loss)
    return str(run.info.run_id)


def _compared(links: StudyLinks) -> list[str]:
    assert links.compare is not None
    runs: list[str] = json.loads(parse_qs(urlsplit(links.compare.lstrip("#")).query)["runs"][0])
    return runs


def test_an_experiment_is_known_to_be_for_training(store: TrackingStore) -> None:
    assert _tags(store)[KIND_TAG] == MODEL_TRAINING


def test_an_experiment_that_exists_gets_its_kind_unless_one_was_chosen(
    work_directory: Path,
) -> None:
    client = connect("unused").client
    client.create_experiment("bare")
    client.create_experiment("chosen", tags={KIND_TAG: "genai_development"})
    assert _tags(open_experiment(connect("bare")))[KIND_TAG] == MODEL_TRAINING
    assert _tags(open_experiment(connect("chosen")))[KIND_TAG] == "genai_development"


def test_a_view_is_saved_once_and_stays_as_its_user_changed_it(store: TrackingStore) -> None:
    save_view(store, STUDY)
    name = f"{VIEW_TAG}{view_key(STUDY)}"
    envelope = json.loads(_tags(store)[name])
    assert envelope["name"] == f"trials of {STUDY}"
    assert json.loads(envelope["state"])["orderByKey"] == "metrics.`best_val_loss`"
    store.client.set_experiment_tag(store.experiment_id, name, "changed")
    save_view(store, STUDY)
    assert _tags(store)[name] == "changed"


def test_the_filter_of_a_view_finds_the_trials_and_not_their_parent(store: TrackingStore) -> None:
    store.client.create_run(store.experiment_id, tags={"study_name": STUDY})
    trial = _trial(store, 0.6)
    _trial(store, 0.5, study_name="another")
    save_view(store, STUDY)
    state = json.loads(json.loads(_tags(store)[f"{VIEW_TAG}{view_key(STUDY)}"])["state"])
    found = store.client.search_runs([store.experiment_id], state["searchFilter"])
    assert [run.info.run_id for run in found] == [trial]


@pytest.mark.parametrize("name", ["a b", "ä/ö?", "x" * 240])
def test_a_study_of_any_name_has_a_view(work_directory: Path, name: str) -> None:
    store = open_experiment(connect(name))
    links = study_links(store, f"{name}_2M_h3_threshold_1pct")
    key = parse_qs(urlsplit(links.trials.lstrip("#")).query)["viewStateShareKey"][0]
    assert f"{VIEW_TAG}{key}" in _tags(store)


def test_the_best_stand_beside_recovered_ones_of_the_same_question(store: TrackingStore) -> None:
    _trial(store, 0.9)
    own = [_trial(store, loss) for loss in (0.4, 0.5, 0.6)]
    _trial(store, 0.1, trial_state="FAIL")
    _trial(store, 0.1, origin="log", study_name="old", horizon="1")
    _trial(store, 0.1, origin="log", study_name="old", task="threshold_2pct")
    _trial(store, 0.1, origin="log", study_name="old", budget="20M")
    recovered = [_trial(store, loss, origin="log", study_name="old") for loss in (0.2, 0.3)]
    assert _compared(study_links(store, STUDY)) == own + recovered


def test_recovered_ones_of_another_budget_are_better_than_none(store: TrackingStore) -> None:
    own = _trial(store, 0.4)
    other = _trial(store, 0.1, origin="log", study_name="old", budget="20M")
    assert _compared(study_links(store, STUDY)) == [own, other]


def test_one_trial_alone_is_not_compared(store: TrackingStore) -> None:
    assert study_links(store, STUDY).compare is None
    _trial(store, 0.4)
    assert study_links(store, STUDY).compare is None


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("http://user:secret@host:5000/prefix/", UiAddress(url="http://host:5000/prefix")),
        ("https://host", UiAddress(url="https://host")),
        (
            "sqlite:////a b/mlflow.db",
            UiAddress(
                url="http://127.0.0.1:5000",
                how_to_start="mlflow ui --backend-store-uri 'sqlite:////a b/mlflow.db'",
            ),
        ),
        (
            "postgresql+psycopg://user:secret@host/runs",
            UiAddress(
                url="http://127.0.0.1:5000",
                how_to_start='mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI"',
            ),
        ),
        ("databricks://profile", None),
    ],
)
def test_a_link_begins_where_the_ui_answers(uri: str, address: UiAddress | None) -> None:
    assert ui_address(uri) == address


def test_there_are_no_links_where_the_ui_is_not_known() -> None:
    links = StudyLinks(study_name=STUDY, address=None, trials="#/t", compare="#/c")
    assert links.as_lines() == []
