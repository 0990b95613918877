"""HTTP/2 and gRPC for asyncio; knows no etcd message."""
