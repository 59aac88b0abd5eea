"""What was used: one record for each request, and sums of them."""
