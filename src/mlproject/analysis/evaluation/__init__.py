"""The final evaluation tests a study's best architecture on days that nothing was chosen by.

study → best trial → trained anew per seed → test span opened once → scores, pictures, model
"""

from mlproject.analysis.evaluation.evaluate import Evaluated, evaluate

__all__ = ["Evaluated", "evaluate"]
