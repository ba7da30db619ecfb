"""The final evaluation tests what a study recommends on days that nothing was chosen by.

study → recommended trial → trained anew per seed → test span opened once → scores, pictures, model
"""

from mlproject.analysis.evaluation.evaluate import Evaluated, evaluate

__all__ = ["Evaluated", "evaluate"]
