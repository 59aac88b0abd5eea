"""The one store. Money lives nowhere else."""
