"""The External API: raw ASGI and msgspec, no framework."""
