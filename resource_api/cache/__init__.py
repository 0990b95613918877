"""One store watch of a kind, fanned out: the watch cache, selectors, paging."""
