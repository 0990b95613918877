"""Messages of etcd and of our peers, in a private descriptor pool; see pool.py."""
