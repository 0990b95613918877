"""The Kubernetes-compatible API server; not built yet."""
