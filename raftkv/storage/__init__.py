"""Files: the write-ahead log, the store, their threads, and recovery."""
