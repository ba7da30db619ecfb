"""The twelve studies of phase 6a: every named budget, at these horizons and this task."""

HORIZONS_DAYS = (1, 3, 5)
TASK = "threshold_1pct"
