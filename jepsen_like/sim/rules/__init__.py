"""What an onlooker holds members to: reads, writes and leases as they are taken, answered and ended."""


class InvariantError(AssertionError):
    """The text names the invariant, the member and the values."""
