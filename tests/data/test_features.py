import numpy as np
import pandas as pd
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from mlproject.data.features import FEATURES, WARM_UP_ROWS, compute_features
from mlproject.data.indicators import on_completed_weeks, rsi, sma, stochastic_rsi, vwap

AT_REST = {
    "rsi_daily": 50.0,
    "rsi_weekly": 50.0,
    "stochrsi_daily": 50.0,
    "stochrsi_weekly": 50.0,
    "bb_percent_b": 0.5,
    "atr_14": 0.0,
    "adx_14": 0.0,
    "obv": 0.0,
    "adosc": 0.0,
}


def assert_finite_after_warm_up(features: pd.DataFrame) -> None:
    late = features.iloc[WARM_UP_ROWS:]
    assert len(late) > 0
    assert np.isfinite(late).all().all(), late.columns[~np.isfinite(late).all()].tolist()


def test_there_are_25_features_in_a_fixed_order(sp500):
    features = compute_features(sp500.frame)
    assert tuple(features.columns) == FEATURES
    assert len(set(FEATURES)) == 25
    assert FEATURES[:6] == ("open", "high", "low", "close", "volume", "dema_9")
    assert (features.dtypes == np.float64).all()
    assert features.index.equals(sp500.frame.index)


@pytest.mark.parametrize("freq", ["B", "D"])
def test_the_warm_up_is_exactly_as_long_as_it_says(freq, make_frame):
    features = compute_features(make_frame(400, freq=freq))
    assert_finite_after_warm_up(features)
    assert features.iloc[WARM_UP_ROWS - 1].isna().any()


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 420),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32),
    factor=st.sampled_from([1e-3, 0.5, 1.0, 1e3]),
    days_later=st.integers(0, 9),
    freq=st.sampled_from(["B", "D"]),
)
def test_no_feature_sees_what_comes_after_its_day(
    *, rows, share, seed, factor, days_later, freq, make_frame
):
    frame = make_frame(420, seed=seed % 7, freq=freq).head(rows)
    known = 1 + int(share * (rows - 1))
    other = frame.copy()
    future = other.index >= known
    rng = np.random.default_rng(seed)
    for column in ("open", "high", "low", "close", "volume"):
        other.loc[future, column] *= factor * rng.random(future.sum()) * 2
    other.loc[future, "date"] += pd.Timedelta(days=days_later)

    features = compute_features(frame).head(known)
    pd.testing.assert_frame_equal(compute_features(other).head(known), features, check_exact=True)
    cut = compute_features(frame.head(known))
    pd.testing.assert_frame_equal(cut, features, check_exact=True)


def test_features_are_those_of_talib_where_the_market_moves(sp500):
    frame, features = sp500.frame, compute_features(sp500.frame)
    close = frame["close"].to_numpy()
    upper, _, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    stochastic, _ = talib.STOCHRSI(close, 14, fastk_period=14, fastd_period=1)
    for name, theirs in {
        "sma_200": talib.SMA(close, 200),
        "rsi_daily": talib.RSI(close, 14),
        "stochrsi_daily": stochastic,
        "bb_percent_b": (close - lower) / (upper - lower),
    }.items():
        np.testing.assert_allclose(features[name], theirs, rtol=1e-7, atol=1e-7, err_msg=name)


def test_vwap_is_the_average_price_by_volume_of_20_days(sp500):
    last = sp500.frame.tail(20)
    typical = (last["high"] + last["low"] + last["close"]) / 3
    expected = (typical * last["volume"]).sum() / last["volume"].sum()
    assert compute_features(sp500.frame)["vwap_20"].iloc[-1] == pytest.approx(expected)


def test_macd_is_the_difference_of_two_averages_and_obv_the_signed_volume(sp500):
    frame, features = sp500.frame, compute_features(sp500.frame)
    close = frame["close"]
    averages = [close.ewm(span=span, adjust=False).mean() for span in (12, 26)]
    np.testing.assert_allclose(features["macd_line"][300:], (averages[0] - averages[1])[300:])
    signed = np.sign(close.diff()).fillna(1) * frame["volume"]
    np.testing.assert_allclose(features["obv"], signed.cumsum())


@pytest.mark.parametrize("indicator", [rsi, stochastic_rsi])
def test_weekly_values_are_those_of_the_week_before(indicator, sp500):
    frame = sp500.frame
    weekly = frame.set_index("date")["close"].resample("W-SUN").last().dropna()
    values = pd.Series(indicator(weekly.to_numpy()), index=weekly.index)
    ours = on_completed_weeks(indicator, frame["date"].to_numpy(), frame["close"].to_numpy())
    for row in (0, 4, 5, 150, 151, 152, 153, 154, 155, 675, 676, 5030):
        monday = frame["date"][row] - pd.Timedelta(days=frame["date"][row].weekday())
        before = values[values.index < monday]
        expected = before.iloc[-1] if len(before) else np.nan
        assert ours[row] == pytest.approx(expected, nan_ok=True)


def test_a_week_becomes_known_on_the_first_day_of_the_next():
    # Wednesday and Friday, Monday, Sunday, then nothing for a week, then Tuesday.
    days = ["2020-01-01", "2020-01-03", "2020-01-06", "2020-01-12", "2020-01-21"]
    known = on_completed_weeks(
        lambda closes: closes, np.array(days, dtype="datetime64[us]"), np.arange(5.0)
    )
    np.testing.assert_array_equal(known, [np.nan, np.nan, 1.0, 1.0, 3.0])


def test_a_market_that_never_moved_is_neutral(make_frame):
    price = 100.1
    frame = make_frame(300).assign(open=price, high=price, low=price, close=price, volume=0.0)
    features = compute_features(frame)
    assert_finite_after_warm_up(features)
    last = features.iloc[-1]
    for name, value in AT_REST.items():
        assert last[name] == value, name
    assert last["macd_line"] == pytest.approx(0, abs=1e-9)
    for name in FEATURES:
        if name.startswith(("dema", "sma", "vwap")):
            assert last[name] == pytest.approx(price), name


def test_a_market_that_stops_moving_becomes_neutral(make_frame):
    frame = make_frame(400)
    halted = frame.index >= 300
    price = float(frame["close"][299])
    frame.loc[halted, ["open", "high", "low", "close"]] = price
    frame.loc[halted, "volume"] = 0.0
    features = compute_features(frame)
    assert_finite_after_warm_up(features)
    resting = features.iloc[330:]
    # Not the rounding noise of an RSI that stands still, blown up to 0..100.
    assert (resting["stochrsi_daily"] == 50).all()
    assert (resting["bb_percent_b"] == 0.5).all()
    np.testing.assert_allclose(resting["vwap_20"], price)
    assert features["obv"][330:].nunique() == 1


def test_an_untraded_market_has_the_plain_average_for_a_vwap():
    high, low, close = (np.arange(30.0) + k for k in (3, 0, 1.5))
    typical = (high + low + close) / 3
    untraded = vwap(high, low, close, np.zeros(30))
    np.testing.assert_allclose(untraded[19:], sma(typical, 20)[19:])


def test_a_steady_rise_is_strong_everywhere(make_frame):
    steps = np.arange(1.0, 301.0)
    frame = make_frame(300).assign(open=steps, high=steps, low=steps, close=steps, volume=1.0)
    last = compute_features(frame).iloc[-1]
    assert (last["rsi_daily"], last["rsi_weekly"], last["adx_14"]) == pytest.approx((100, 100, 100))
    assert (last["stochrsi_daily"], last["obv"], last["atr_14"]) == pytest.approx((50, 300, 1))


@settings(max_examples=40, deadline=None)
@given(
    levels=st.lists(st.sampled_from([1e-4, 1.0, 1.0000001, 50.0, 1e6]), min_size=1, max_size=5),
    run=st.integers(1, 60),
    volumes=st.lists(st.sampled_from([0.0, 1.0, 1e15]), min_size=1, max_size=5),
    spread=st.sampled_from([0.0, 1e-12, 0.02]),
)
def test_no_valid_bars_give_nan_or_infinity(levels, run, volumes, spread, make_frame):
    close = np.resize(np.repeat(levels, run), 320)
    frame = make_frame(320).assign(
        open=close,
        close=close,
        high=close * (1 + spread),
        low=close * (1 - spread),
        volume=np.resize(np.repeat(volumes, run), 320),
    )
    features = compute_features(frame)
    assert_finite_after_warm_up(features)
    late = features.iloc[WARM_UP_ROWS:]
    for name in ("rsi_daily", "rsi_weekly", "stochrsi_daily", "stochrsi_weekly", "adx_14"):
        assert late[name].between(-1e-9, 100 + 1e-9).all(), name


def test_a_huge_value_is_forgotten_once_it_has_left_the_window(make_frame):
    frame = make_frame(400)
    tick = frame.copy()
    tick.loc[20, ["open", "high", "low", "close"]] = 1e12
    tick.loc[20, "volume"] = 1e18
    names = ["sma_12", "sma_50", "sma_100", "sma_200", "bb_percent_b", "vwap_20"]
    pd.testing.assert_frame_equal(
        compute_features(tick)[names].iloc[221:],
        compute_features(frame)[names].iloc[221:],
        check_exact=True,
    )
