"""PyPI's Kubernetes clients and an operator, unmodified, against a server in a process of its own."""
