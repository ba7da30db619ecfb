"""One network trained by several processes, each with a device of its own.

What one process does with one device is in `mlproject.training`.
"""
