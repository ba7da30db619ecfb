"""From the daily bars of a market to the windows, labels and splits that a network trains on.

How networks are trained, studied and tracked is not known here, and nothing after this room knows
where bars came from.
"""
