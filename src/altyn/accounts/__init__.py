"""Who pays: accounts; who signs in: users."""
