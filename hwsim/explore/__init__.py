"""Design-space exploration: machines, networks and plans by the thousand, and where each leads."""
