"""The asyncio half of a member: turns, peers, timers."""
