"""The server, and what MiniStack lacks or does otherwise than AWS."""
