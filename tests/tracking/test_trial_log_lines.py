"""Lines of the trial log: what is written is read back, and nothing that was cut is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlproject.tracking.names import Metric, Origin, Param, Tag, TrialState
from mlproject.tracking.trial_log_lines import (
    ENDED,
    EpochLine,
    UnreadableLine,
    epoch_line,
    line_key,
    parse_line,
    trial_lines,
)
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_metrics import EpochMetrics
from tests.tracking.drawn_trials import trial_runs

TRIAL = TrialRun(
    trial_number=7,
    state=TrialState.FAIL,
    started_ms=1_795_464_853_539,
    ended_ms=1_795_464_962_118,
    params={
        Param.ARCH_IDX: 57,
        Param.D_MODEL: 64,
        Param.N_LAYERS: 48,
        Param.N_HEADS: 8,
        Param.D_FF: 256,
        Param.PARAM_COUNT: 2_414_273,
        Param.GRID_VERSION: 3,
        Param.N_FEATURES: 25,
        Param.BUDGET: "2M",
        Param.HORIZON: 5,
        Param.TASK: "threshold_1pct",
        Param.LEARNING_RATE: 0.00016004123456789,
        Param.EPOCHS: 100,
        Param.BATCH_SIZE: 256,
        Param.WEIGHT_DECAY: 1e-05,
        Param.WARMUP_STEPS: 200,
        Param.DROPOUT: 0.25,
    },
    metrics={Metric.HORIZON: 5, Metric.PARAM_COUNT: 2_414_273, Metric.PRIOR_LOSS: 0.625},
    epochs=(EpochMetrics(epoch=1, train_loss=0.5625, val_loss=0.53125),),
    tags={
        Tag.STUDY_NAME.value: "phase6a_2M_h5_threshold_1pct",
        Tag.ORIGIN.value: "live",
        Tag.RETRY_OF.value: "3",
        Tag.FAILURE_REASON.value: 'out of "luck", state=1.',
    },
)
LINES = [
    "Trial 7: arch_idx=57, d_model=64, n_layers=48, n_heads=8, params=2,414,273, lr=0.000160, "
    "epochs=100, batch_size=256, d_ff=256, learning_rate=0.00016004123456789, weight_decay=1e-05, "
    "warmup_steps=200, dropout=0.25, grid_version=3, n_features=25, budget=2M, horizon=5, "
    "task=threshold_1pct, started=2026-11-23T20:14:13.539Z, "
    "study_name=phase6a_2M_h5_threshold_1pct, retry_of=3.",
    "Trial 7 epoch 1: train_loss=0.5625, val_loss=0.53125.",
    "Trial 7 ended: state=FAIL, started=2026-11-23T20:14:13.539Z, ended=2026-11-23T20:16:02.118Z, "
    "horizon=5.0, param_count=2414273.0, prior_loss=0.625, "
    'failure_reason="out of \\"luck\\", state=1.".',
]


def whole(lines: list[str]) -> TrialRun:
    """The trial that lines tell of; a log says of all its trials that they are live."""
    start, epochs, end = None, [], None
    for line in map(parse_line, lines):
        if isinstance(line, EpochLine):
            epochs.append(line.losses)
        elif line.state is TrialState.RUNNING:
            start = line
        else:
            end = line
    assert end is not None
    begun = start or end
    tags = {**begun.tags, **end.tags, Tag.ORIGIN.value: Origin.LIVE.value}
    return replace(end, params=begun.params, tags=tags, epochs=tuple(epochs))


def test_the_lines_of_a_trial_are_spelt_as_ever() -> None:
    assert list(trial_lines(TRIAL)) == LINES
    assert whole(LINES) == TRIAL


@given(trial=trial_runs(3))
def test_the_lines_of_any_trial_give_it_back(trial: TrialRun) -> None:
    assert whole(list(trial_lines(trial))) == trial


@given(trial=trial_runs(3), place=st.floats(0, 1, exclude_max=True))
def test_a_line_that_was_cut_is_refused(trial: TrialRun, place: float) -> None:
    for line in trial_lines(trial):
        cut = line[: int(place * len(line))]
        with pytest.raises(UnreadableLine):
            parse_line(cut)


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_refused_wherever_it_was_cut(line: str) -> None:
    for end in range(len(line)):
        with pytest.raises(UnreadableLine):
            parse_line(line[:end])


@pytest.mark.parametrize(
    "line",
    [
        LINES[0].replace("d_model=64", "d_model=64.5"),
        LINES[0].replace("d_model=64", "d_model=064"),
        LINES[0].replace("dropout=0.25", "dropout=0"),
        LINES[0].replace("dropout=0.25", "dropout=0.2_5"),
        LINES[0].replace("dropout=0.25", "gamma=0.25"),
        LINES[0].replace("_h5_", "_h6_"),
        LINES[1].replace(", val_loss=0.53125", ""),
        LINES[1].replace("val_loss", "test_loss"),
        LINES[2].replace("state=FAIL", "state=RUNNING"),
        LINES[2].replace("20:16:02", "25:16:02"),
        LINES[2].replace("prior_loss", "horizon"),
        LINES[2].replace("prior_loss", "prior"),
    ],
)
def test_a_field_that_cannot_be_is_refused(line: str) -> None:
    with pytest.raises(UnreadableLine, match="cannot be read"):
        parse_line(line)


def test_a_line_is_known_by_its_trial_and_part_whatever_stands_before_it() -> None:
    stamp = "[I 2026-11-23 20:14:13,539] "
    keys = [line_key(f"{stamp}{line}\n") for line in LINES]
    assert keys == [(7, ""), (7, "epoch 1"), (7, ENDED)]
    assert line_key(f"{stamp}{LINES[0][:-1]}\n") is None
    assert line_key(f"{stamp}Trial 7 finished with value: 0.5 and parameters: {{}}.") is None


BLOCKS = st.none() | st.lists(
    st.floats(0, 10).map(lambda loss: float(f"{loss:.6f}")), min_size=1, max_size=10
).map(tuple)


@given(blocks=BLOCKS, cut=st.integers(1, 60))
def test_losses_by_block_of_days_are_on_the_line_to_the_last_digit(
    blocks: tuple[float, ...] | None, cut: int
) -> None:
    losses = EpochMetrics(epoch=3, train_loss=0.5, val_loss=0.6, val_block_losses=blocks)
    line = epoch_line(7, losses)
    found = parse_line(line)
    assert isinstance(found, EpochLine)
    assert found.losses == losses
    with pytest.raises(UnreadableLine):
        parse_line(line[:-cut])
