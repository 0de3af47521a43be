"""Audit: an independent picture of every case, from the topics alone, that counts and proves."""
