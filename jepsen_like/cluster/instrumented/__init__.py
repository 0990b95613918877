"""What stands inside a member's process when a run asks for it: other clocks and files below an unmodified member."""
