"""The replicated state machine: what a log entry does."""
