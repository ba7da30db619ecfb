"""The architectures: budgets, the versioned grid, its extremes, the network itself.

One family of networks is known, PatchTST: grid, parameter count and network are of that family.
"""
