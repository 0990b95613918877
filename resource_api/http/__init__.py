"""The HTTP face: what a request asks for, negotiation, handlers, watch streams, discovery and OpenAPI."""
