"""Ways to be wrong that the tests must notice: `NN_name.py`, each one edit of one module (`jepsen_like.sim.mutation`).

NN is the number in the list of 72 known ways to be wrong (Raft core 1-38, disk 39-54, store and apply 55-61, watch 62-68,
lease, lock and client 69-72); from 73 on they are ours. A letter marks further edits for one number. `absent.py` says why
a number has none. Production modules hold nothing of it.
"""
