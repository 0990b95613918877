"""What a CustomResourceDefinition's schema asks of objects: its own rules, pruning, defaults, validation (spec C)."""
