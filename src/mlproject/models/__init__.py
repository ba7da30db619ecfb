"""What is searched: the architecture grid, and the network that it describes."""
