"""The page behind the link of a notice, for a loket that has e-mail and nothing else."""
