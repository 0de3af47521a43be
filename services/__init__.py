"""The four services and the chassis that they share."""
