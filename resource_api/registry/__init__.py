"""Objects of a kind over the storage seam: create, update, delete, list, watch, and what a kind does of its own."""
