"""raftctl, the command line."""
