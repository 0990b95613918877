"""What built-in kinds may say: the rules of each kind, beside those of its schema."""
