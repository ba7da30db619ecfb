"""The validation windows of a trial at its best epoch: what its storage keeps, and the file of it.

The storage keeps the logits alone, four bytes a window; everything else follows from the study's
bars. The trial log has no room for them: where the storage is gone, so are they.
"""

import base64
import binascii
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from mlproject.data.windows import WindowedData
from mlproject.tracking.names import LOGITS_ATTR

Floats = npt.NDArray[np.float64]

_FORM = np.dtype("<f4")


def logits_as_text(logits: Sequence[float]) -> str:
    """The value of the user attribute `LOGITS_ATTR`."""
    return base64.b64encode(np.asarray(logits, _FORM).tobytes()).decode("ascii")


def file_of_windows(
    user_attrs: Mapping[str, Any], data: WindowedData
) -> Callable[[], bytes] | None:
    """What makes the file of a trial's windows; None where the trial does not have them all."""
    logits = _logits(user_attrs.get(LOGITS_ATTR))
    if logits is None or len(logits) != len(data.validation):
        return None
    return partial(_file, logits, data)


def _file(logits: Floats, data: WindowedData) -> bytes:
    """The columns, a value per window in the order of the days, as numpy's ``.npz``."""
    ends = data.validation.cpu().numpy()
    labels = data.labels.cpu().numpy()[ends] > 0.5
    columns = {
        "date": data.dates[ends],
        "market": np.array(data.markets)[data.market_of(data.validation)],
        "label": labels.astype(np.int8),
        "probability": expit(logits).astype(np.float32),
        "loss": np.logaddexp(0, np.where(labels, -logits, logits)).astype(np.float32),
    }
    in_time_order = np.lexsort([columns["market"], columns["date"]])
    file = io.BytesIO()
    np.savez_compressed(file, **{name: each[in_time_order] for name, each in columns.items()})
    return file.getvalue()


def _logits(text: object) -> Floats | None:
    """What `logits_as_text` wrote; None where anybody wrote something else."""
    if not isinstance(text, str) or not text.isascii():
        return None
    try:
        logits = np.frombuffer(base64.b64decode(text, validate=True), _FORM).astype(np.float64)
    except (ValueError, binascii.Error):
        return None
    return logits if np.isfinite(logits).all() else None
