"""Pages: one module for each noun of the cabinet, one function for each address."""
