"""The operator's deeds: what a command can do, and the way to a running server."""
