"""A simulated fleet for a machine with no keys, and a server that serves every fault of the taxonomy."""
