"""From the daily bars of a market to the windows, labels and splits that a network trains on.

Nothing of models, studies or tracking lives here, and nothing after it knows where bars came from.
"""
