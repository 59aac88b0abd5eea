"""The other side of us: connections to providers, their dialects, and who is asked when."""
