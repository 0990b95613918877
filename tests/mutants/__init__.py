"""Ways to be wrong that the tests must notice: each a small change of the server or of what it stands on."""
