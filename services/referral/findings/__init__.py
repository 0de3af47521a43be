"""The ladder to a committee's finding and beyond: the board's reply, its silence, supervisors."""
