"""The cabinet: the pages of whoever pays, and the first pages of whoever runs the place."""
