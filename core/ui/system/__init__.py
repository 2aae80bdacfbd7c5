"""The Sistema page: what the machine is doing, the models in memory and on disk, and whether all is ready."""
