"""What training asks of the machine: memory given back, threads, torch's environment, peak memory.

Nothing here knows a network.
"""
