"""What the kinds are: types, defaults, validation, names, protobuf."""
