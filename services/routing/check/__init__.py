"""The proof that a register has no gap: walks every plausible situation, twice, by two methods."""
