"""`python -m raftctl`."""

from raftctl.main import main

main()
