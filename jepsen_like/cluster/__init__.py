"""Real clusters: member processes, and the network between them under the run's control."""

from jepsen_like.cluster.cluster import BACKENDS, Cluster, ClusterError, NotUpError, open_cluster

__all__ = ["BACKENDS", "Cluster", "ClusterError", "NotUpError", "open_cluster"]
