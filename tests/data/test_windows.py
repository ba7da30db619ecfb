import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlproject.data.bar_limits import MIN_ROWS
from mlproject.data.features import FEATURES, WARM_UP_ROWS, compute_features
from mlproject.data.labels import Task, label_rows
from mlproject.data.splits import rows_needed, split_ends, usable
from mlproject.data.windows import (
    OneClassOnly,
    TooFewRows,
    WindowedData,
    build_windows,
)
from mlproject.models.arch_grid import WINDOW_DAYS

ONE_PERCENT = Task(0.01)


@pytest.fixture(scope="module")
def windowed(sp500) -> WindowedData:
    return build_windows(sp500, horizon_days=3, task=ONE_PERCENT)


@given(rows=st.integers(0, 6000), horizon_days=st.integers(1, 250))
def test_no_label_looks_into_the_days_of_a_later_split(rows, horizon_days):
    splits = split_ends(rows, horizon_days=horizon_days)
    if usable([splits]):
        assert splits.train[-1] + horizon_days < splits.validation[0]
        assert splits.validation[-1] + horizon_days < splits.test[0]
        assert splits.test[-1] + horizon_days == rows - 1
        assert splits.train[0] - (WINDOW_DAYS - 1) == WARM_UP_ROWS


@given(rows=st.integers(MIN_ROWS, 6000), horizon_days=st.integers(1, 30))
def test_the_first_day_of_a_split_does_not_depend_on_the_horizon(rows, horizon_days):
    one, other = split_ends(rows, horizon_days=1), split_ends(rows, horizon_days=horizon_days)
    assert (one.train[0], one.validation[0], one.test[0]) == (
        other.train[0],
        other.validation[0],
        other.test[0],
    )
    # The fewest rows that pass the checks leave a score something to stand on at every horizon.
    assert min(len(other.train), 10 * len(other.validation), 10 * len(other.test)) >= 200


@pytest.mark.parametrize(
    ("horizon_days", "sizes", "base_rate"),
    [
        (1, (3340, 715, 715), 0.1557),
        (3, (3338, 713, 713), 0.3661),
        (5, (3336, 711, 711), 0.4862),
    ],
)
def test_splits_and_base_rates_of_the_sample(horizon_days, sizes, base_rate, sp500):
    data = build_windows(sp500, horizon_days=horizon_days, task=ONE_PERCENT)
    assert (len(data.train), len(data.validation), len(data.test)) == sizes
    assert data.base_rate == pytest.approx(base_rate, abs=0.001)
    assert data.base_rate == pytest.approx(float(data.labels[data.train].double().mean()))
    first_days = data.dates[[data.train[0], data.validation[0], data.test[0]]]
    assert first_days.astype(str).tolist() == ["2000-01-11", "2013-04-25", "2016-02-29"]


def test_a_window_is_the_sixty_days_up_to_its_end(windowed, sp500):
    ends = windowed.train[[0, 17, -1]]
    windows, labels = windowed.gather(ends)
    assert windows.shape == (3, WINDOW_DAYS, windowed.n_features) == (3, 60, 25)
    assert windows.dtype == labels.dtype == torch.float32
    raw = compute_features(sp500.frame)[list(FEATURES)].to_numpy()
    known = label_rows(sp500.frame, horizon_days=3, task=ONE_PERCENT, label_price="close")
    for end, window, label in zip(ends.tolist(), windows, labels, strict=True):
        unscaled = window.double().numpy() * windowed.scaling_std + windowed.scaling_mean
        np.testing.assert_allclose(
            unscaled, raw[end - 59 : end + 1], rtol=1e-5, atol=1e-5 * windowed.scaling_std.max()
        )
        assert label == known[end]


def test_every_window_of_every_split_is_complete(windowed):
    for ends in (windowed.train, windowed.validation, windowed.test):
        assert ends.dtype == torch.int64
        windows, labels = windowed.gather(ends)
        assert torch.isfinite(windows).all()
        assert ((labels == 0) | (labels == 1)).all()


def test_training_rows_are_standardised(windowed):
    training = windowed.features[WARM_UP_ROWS : windowed.train[-1] + 1].double()
    np.testing.assert_allclose(training.mean(dim=0), 0, atol=1e-5)
    np.testing.assert_allclose(training.std(dim=0, correction=0), 1, atol=1e-5)


def test_nothing_after_the_training_span_touches_training(sp500, windowed, as_bars):
    frame = sp500.frame.copy()
    after = frame.index > int(windowed.train[-1]) + 3
    frame.loc[after, ["open", "high", "low", "close", "volume"]] *= 7.0
    other = build_windows(as_bars(frame), horizon_days=3, task=ONE_PERCENT)
    np.testing.assert_array_equal(other.scaling_mean, windowed.scaling_mean)
    np.testing.assert_array_equal(other.scaling_std, windowed.scaling_std)
    for ours, theirs in zip(
        other.gather(other.train), windowed.gather(windowed.train), strict=True
    ):
        assert torch.equal(ours, theirs)
    assert other.base_rate == windowed.base_rate
    assert not torch.equal(
        other.gather(other.validation)[0], windowed.gather(windowed.validation)[0]
    )


@pytest.mark.parametrize("rounding", [0.0, 1e-15])
def test_a_constant_feature_is_centred_and_not_blown_up(rounding, make_frame, as_bars):
    frame = make_frame()
    frame["volume"] = 0.1 * (1 + rounding * (frame.index % 3))
    data = build_windows(as_bars(frame), horizon_days=3, task=ONE_PERCENT)
    volume = FEATURES.index("volume")
    assert data.scaling_std[0, volume] == 1
    windows, _ = data.gather(data.test)
    np.testing.assert_allclose(windows[:, :, volume], 0, atol=1e-6)


def test_highs_reach_the_threshold_more_often_than_closes(sp500, windowed):
    data = build_windows(sp500, horizon_days=3, task=ONE_PERCENT, label_price="high")
    assert data.base_rate == pytest.approx(0.4916, abs=0.001)
    assert (data.labels >= windowed.labels)[: data.test[-1] + 1].all()


def test_all_tensors_move_to_a_device_together(windowed):
    moved = windowed.to("meta")
    tensors = [moved.features, moved.labels, moved.train, moved.validation, moved.test]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    windows, labels = moved.gather(moved.train[:8])
    assert (windows.device.type, tuple(windows.shape)) == ("meta", (8, 60, 25))
    assert labels.device.type == "meta"
    assert windowed.features.device.type == "cpu"


@pytest.mark.parametrize("horizon_days", [1, 30, 250])
def test_too_few_rows_are_told_how_many_would_do(horizon_days, make_frame, as_bars):
    enough = rows_needed(horizon_days=horizon_days)
    task = Task(0.001)
    build_windows(as_bars(make_frame(enough, seed=1)), horizon_days=horizon_days, task=task)
    with pytest.raises(TooFewRows, match=rf"made.csv: {enough - 1} rows .* at least {enough} rows"):
        build_windows(as_bars(make_frame(enough - 1)), horizon_days=horizon_days, task=task)


def test_a_threshold_that_is_never_reached_is_refused(sp500):
    with pytest.raises(OneClassOnly) as caught:
        build_windows(sp500, horizon_days=3, task=Task(0.5))
    assert str(caught.value) == (
        "arch.data.sp500: no training day rises by 50 % within 3 days, so there is nothing to "
        "tell apart; lower the threshold or lengthen the horizon"
    )


def test_a_threshold_that_is_always_reached_is_refused(make_frame, as_bars):
    steps = np.arange(100.0, 800.0)
    frame = make_frame().assign(open=steps, high=steps, low=steps, close=steps)
    with pytest.raises(OneClassOnly, match=r"every training day .*; raise the threshold"):
        build_windows(as_bars(frame), horizon_days=5, task=Task(0.001))


def test_a_missing_value_never_reaches_a_window(make_frame, as_bars):
    frame = make_frame()
    frame.loc[650, "volume"] = np.nan
    with pytest.raises(AssertionError, match="NaN"):
        build_windows(as_bars(frame), horizon_days=3, task=ONE_PERCENT)


def test_a_final_training_takes_all_days_before_the_test_span_and_none_of_it(windowed, sp500):
    final = build_windows(sp500, horizon_days=3, task=ONE_PERCENT, final=True, with_test=False)
    assert (final.train[0], final.train[-1]) == (windowed.train[0], windowed.validation[-1])
    assert torch.equal(final.train, torch.arange(final.train[0], final.train[-1] + 1))
    assert len(final.validation) == len(final.test) == 0
    # The rows of the test span are not there; the last label looks at the last row that is.
    assert len(final.features) == len(final.dates) == windowed.test[0] == final.train[-1] + 3 + 1
    assert final.base_rate == pytest.approx(float(final.labels[final.train].double().mean()))


@pytest.mark.parametrize("final", [False, True])
def test_the_test_span_changes_nothing_before_it(final, sp500, as_bars):
    whole = build_windows(sp500, horizon_days=3, task=ONE_PERCENT, final=final)
    first = int(whole.test[0])
    frame = sp500.frame.copy()
    frame.loc[first:, ["open", "high", "low", "close"]] *= 1.5
    for bars in (sp500, as_bars(frame)):
        without = build_windows(
            bars, horizon_days=3, task=ONE_PERCENT, final=final, with_test=False
        )
        assert torch.equal(without.train, whole.train)
        assert torch.equal(without.validation, whole.validation)
        assert torch.equal(without.gather(whole.train)[0], whole.gather(whole.train)[0])
        assert torch.equal(without.labels[whole.train], whole.labels[whole.train])
        np.testing.assert_array_equal(without.scaling_mean, whole.scaling_mean)
        np.testing.assert_array_equal(without.scaling_std, whole.scaling_std)
        assert without.base_rate == whole.base_rate
