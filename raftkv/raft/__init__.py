"""Consensus without I/O: values in, one `Ready` out. See raw_node.py."""
