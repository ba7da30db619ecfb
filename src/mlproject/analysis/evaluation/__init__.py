"""The final evaluation of a study: its best architecture on days that nothing was chosen by.

study → best trial → trained anew per seed → test span opened once → scores, pictures, model
"""

from mlproject.analysis.evaluation.evaluate import Evaluated, evaluate

__all__ = ["Evaluated", "evaluate"]
