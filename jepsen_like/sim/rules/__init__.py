"""What members are held to: what they take, answer, announce, write and keep, looked at while a run goes on and at its end."""


class InvariantError(AssertionError):
    """The text names the invariant, the member and the values."""
