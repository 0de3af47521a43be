"""The fault run: load, kills, and a checker that believes only logs and public APIs."""
