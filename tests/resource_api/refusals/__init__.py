"""What a server is asked that it must not do: the answers, compared with upstream's word for word."""
