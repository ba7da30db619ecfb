"""What training asks of the machine: free and peak memory, the allocator, threads, environment.

Nothing here knows a network.
"""
