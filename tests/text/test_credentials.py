"""Passwords and tokens are hidden in every spelling, and nothing else is."""

import logging
import sys
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from mlproject.text.credentials import (
    AmbiguousUrl,
    CredentialsInSight,
    check_url,
    hide_credentials,
    keep_credentials_unseen,
    refuse_credentials,
)

SECRET = "s3cr3t-b1rd/of@parad:ise"
ENCODED = quote(SECRET, safe="")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:se/c:r@et@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("postgresql://:pw@host/db", "postgresql://:***@host/db"),
        ("postgresql://host/db?user=me&password=pw&sslmode=x", "…?user=me&password=***&sslmode=x"),
        ("host=h password='a b' user=u", "host=h password=*** user=u"),
        ("host=h password = pw user=u", "host=h password = *** user=u"),
        ("sqlite:////home/me/optuna.db", "sqlite:////home/me/optuna.db"),
        ("sqlite:////home/me:x@y/optuna.db", "sqlite:////home/me:x@y/optuna.db"),
        # The user of a web address may be a token.
        ("http://u:p@h:5000 (and http://u:q@h)", "http://***@h:5000 (and http://***@h)"),
        ("https://ghp_0123@github.com/a/b.git", "https://***@github.com/a/b.git"),
        ("https://h/api?access_token=abc", "https://h/api?access_token=***"),
        ("ssh://git@host/a.git", "ssh://git@host/a.git"),
        ("Authorization: Basic dTpwdw==", "Authorization: Basic ***"),
        ("looked in /data/https:/u:pw@h/bars.csv", "looked in /data/https:/***@h/bars.csv"),
        ("Trial 7: arch_idx=57, lr=0.000160, study_name=a_b.", "…"),
    ],
)
def test_credentials_are_hidden_where_they_stand(text: str, shown: str) -> None:
    expected = text if shown == "…" else shown.replace("…", "postgresql://host/db")
    assert hide_credentials(text) == expected


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MLPROJECT_STORAGE", f"postgresql://me:{ENCODED}@host/db"),
        ("MLFLOW_TRACKING_URI", f"postgresql://host/db?user=me&password={ENCODED}"),
        ("MLFLOW_TRACKING_PASSWORD", SECRET),
        ("PGPASSWORD", SECRET),
    ],
)
def test_what_the_environment_holds_is_hidden_wherever_it_stands(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    for spelling in (SECRET, ENCODED):
        assert hide_credentials(f"no such role: <{spelling}>!") == "no such role: <***>!"


def test_a_token_in_the_user_part_is_hidden_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tok3n-of-mine@host")
    assert hide_credentials("who is tok3n-of-mine?") == "who is ***?"


def test_a_user_is_no_secret_where_a_password_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"https://mlflow:{ENCODED}@host")
    assert hide_credentials("run mlflow ui") == "run mlflow ui"


def test_a_short_password_does_not_black_out_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "trial")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "threshold")
    line = "trial 7 of phase6a_2M_h3_threshold_1pct"
    assert hide_credentials(line) == line


def test_no_text_makes_hiding_slow() -> None:
    for text in ("://a:" * 20_000, "password=" * 20_000, "http://" + "a" * 100_000, "_" * 100_000):
        began = time.process_time()
        hide_credentials(text)
        assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cr3t@bird@host/db",
        "postgresql://me:s3/cr3t@host/db",
        "postgresql://me:s3?cr3t@host/db",
        "http://me:s3#cr3t@host",
        "http://me:12/34@host",
        "postgresql://me:my bird@host/db",
    ],
)
def test_a_password_that_a_driver_would_take_apart_is_refused(url: str) -> None:
    with pytest.raises(AmbiguousUrl, match="write them percent-encoded") as refused:
        check_url(url, "the storage URL")
    assert not any(part in str(refused.value) for part in ("cr3t", "s3", "bird", "34"))


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{ENCODED}@host/db",
        "postgresql://me@/db?host=/tmp/a@b",
        "postgresql://host:5432/db?options=a@b",
        "sqlite:////home/my work@home/a:b@c/optuna.db",
        "http://127.0.0.1:5000",
        "https://user:p:w@host/path",
    ],
)
def test_other_urls_are_taken(url: str) -> None:
    check_url(url, "the storage URL")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["study", "--storage=postgresql://me:pw@host/db"], "--storage holds a password"),
        (["study", "--storage", "postgresql://me:my bird@host/db"], "--storage holds a password"),
        (["study", "--storage", "postgresql://h/d?password=pw"], "--storage holds a password"),
        (["study", "--data=https://tok3n@host/bars.csv"], "--data holds a password"),
        (["backfill", "--", "http://u:pw@h/x.log"], "a URL holds a password"),
    ],
)
def test_a_command_line_with_credentials_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(CredentialsInSight, match=f"^{said}.*MLPROJECT_STORAGE"):
        refuse_credentials(arguments)


def test_other_command_lines_are_not_refused() -> None:
    refuse_credentials(["study", "--storage=postgresql://me@/db?host=/tmp/a", "--data=a@b:c.csv"])
    refuse_credentials(["study", "--storage=sqlite:////home/me@work/a:b@c.db", "--experiment=a:b@"])


@pytest.fixture
def unseen() -> Iterator[None]:
    """Credentials are kept unseen while a test runs."""
    factory, hook = logging.getLogRecordFactory(), sys.excepthook
    keep_credentials_unseen()
    yield
    logging.setLogRecordFactory(factory)
    sys.excepthook = hook


def test_logs_and_stack_traces_show_no_credentials(
    unseen: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLPROJECT_STORAGE", f"postgresql://me:{ENCODED}@host/db")
    logger = logging.getLogger("some.library")
    handler = logging.StreamHandler(sys.stderr)
    logger.addHandler(handler)
    try:
        try:
            raise ValueError(f"cannot use {SECRET}")
        except ValueError as error:
            logger.warning("%s: %s", "connecting", f"http://u:{ENCODED}@h", exc_info=True)
            sys.excepthook(type(error), error, error.__traceback__)
    finally:
        logger.removeHandler(handler)
    shown = capsys.readouterr().err
    assert shown.count("ValueError: cannot use ***") == 2
    assert "connecting: http://***@h" in shown
    assert "b1rd" not in shown


def test_the_journal_of_trials_is_not_blacked_out(
    unseen: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A password that is also a word of the trial log must not make its lines unreadable."""
    monkeypatch.setenv("PGPASSWORD", "threshold_1pct")
    logger = logging.getLogger("optuna.trial_log")
    monkeypatch.setattr(logging.getLogger("optuna"), "propagate", True)
    with caplog.at_level(logging.INFO):
        logger.info("Trial 0: task=threshold_1pct.")
    assert set(caplog.messages) == {"Trial 0: task=threshold_1pct."}
