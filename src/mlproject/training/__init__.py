"""How one network is trained: loop, step, optimisers, memory plan, checkpoints.

Only torch is known here: who watches a training is a callback, whoever that is.
"""
