"""Built-in kinds as protobuf, both ways: the envelope, the wire, special values."""
