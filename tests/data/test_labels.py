import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlproject.data.labels import (
    BadHorizon,
    MalformedTask,
    Task,
    label_rows,
    parse_horizon,
    parse_task,
)

# Few, round prices, so that a rise by exactly the threshold occurs.
BAR = st.tuples(st.sampled_from([100.0, 101.0, 102.01, 110.0, 90.0]), st.sampled_from([0.0, 1.0]))


@given(
    bars=st.lists(BAR, max_size=30),
    horizon_days=st.integers(1, 12),
    threshold=st.sampled_from([0.01, 0.1, 0.005]),
    label_price=st.sampled_from(["close", "high"]),
)
def test_labels_are_what_a_plain_loop_says(bars, horizon_days, threshold, label_price):
    close = [c for c, _ in bars]
    high = [c + extra for c, extra in bars]
    price = {"close": close, "high": high}[label_price]
    expected = []
    for t in range(len(bars)):
        future = price[t + 1 : t + 1 + horizon_days]
        if len(future) < horizon_days:
            expected.append(np.nan)
        else:
            expected.append(float(any(p >= close[t] * (1 + threshold) for p in future)))
    labels = label_rows(
        pd.DataFrame({"close": close, "high": high}, dtype=np.float64),
        horizon_days=horizon_days,
        task=Task(threshold),
        label_price=label_price,
    )
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels, np.array(expected, dtype=np.float32))


def test_reaching_the_threshold_exactly_is_enough_and_just_missing_it_is_not():
    frame = pd.DataFrame({"close": [100.0, 101.0, 100.0, np.nextafter(101.0, 0), 1.0]})
    labels = label_rows(frame, horizon_days=1, task=Task(0.01), label_price="close")
    assert labels[:4].tolist() == [1, 0, 0, 0]


def test_a_rise_above_the_threshold_that_has_happened_already_is_not_yet_a_label():
    frame = pd.DataFrame({"close": [100.0, 200.0], "high": [100.0, 200.0]})
    labels = label_rows(frame, horizon_days=2, task=Task(0.01), label_price="close")
    assert np.isnan(labels).all()


@pytest.mark.parametrize(
    ("text", "threshold", "name"),
    [
        ("threshold_1pct", 0.01, "threshold_1pct"),
        ("Threshold_0.5PCT", 0.005, "threshold_0.5pct"),
        ("0.5pct", 0.005, "threshold_0.5pct"),
        ("1.0pct", 0.01, "threshold_1pct"),
        ("007pct", 0.07, "threshold_7pct"),
        ("10.50pct", 0.105, "threshold_10.5pct"),
        ("100pct", 1.0, "threshold_100pct"),
        ("0.000001pct", 1e-8, "threshold_0.000001pct"),
    ],
)
def test_a_task_is_read_and_named_in_one_way(text, threshold, name):
    assert parse_task(text) == Task(threshold)
    assert parse_task(text).name == name


@given(st.integers(1, 10**8))
def test_every_task_is_read_back_from_its_name(millionths):
    task = parse_task(f"{millionths // 10**6}.{millionths % 10**6:06}pct")
    assert task.threshold == millionths / 10**8
    assert parse_task(task.name) == task


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "pct",
        "0pct",
        "0.0pct",
        "-1pct",
        "+1pct",
        "100.000001pct",
        "101pct",
        "nanpct",
        "infpct",
        "1e-3pct",
        ".5pct",
        "1.pct",
        "1,5pct",
        " 1pct",
        "1pct\n",
        "1 pct",
        "1pct; touch x",
        "threshold_threshold_1pct",
        "threshold-1pct",
        "٣pct",  # an Arabic-Indic 3
        "9" * 100_000 + "pct",
        "0." + "0" * 100_000 + "1pct",
    ],
)
def test_anything_else_is_no_task(text):
    with pytest.raises(MalformedTask) as caught:
        parse_task(text)
    line = str(caught.value)
    assert "for example threshold_1pct or 0.5pct" in line
    assert "\n" not in line
    assert len(line) < 300


@pytest.mark.parametrize(("given_", "days"), [("1", 1), ("003", 3), (5, 5), ("250", 250)])
def test_a_horizon_is_a_number_of_days(given_, days):
    assert parse_horizon(given_) == days


@pytest.mark.parametrize(
    "text",
    [0, -1, 251, 3.0, True, None, "", "0", "-3", "251", "3.0", "h3", "3\n", "٣", "1_0", "9" * 9999],
)
def test_anything_else_is_no_horizon(text):
    with pytest.raises(BadHorizon, match="whole number of trading days from 1 to 250") as caught:
        parse_horizon(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
