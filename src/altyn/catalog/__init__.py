"""What is on sale: models, their prices, what each of them takes, and who serves them."""
