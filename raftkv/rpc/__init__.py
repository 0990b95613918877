"""etcd's services over the transport."""
