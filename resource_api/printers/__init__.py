"""Tables: what `kubectl get` shows of each kind, made by the server (spec B.13; upstream: pkg/printers/internalversion)."""
