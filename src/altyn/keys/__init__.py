"""API keys: what one looks like, whom it opens the door for, and how often."""
