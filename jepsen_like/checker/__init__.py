"""Whether a history can have happened: one module per promise, each a pure function from records to a verdict."""
