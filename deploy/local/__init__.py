"""Kafka, PostgreSQL and the four services on one machine.

Without Docker, Java or a database server installed.
"""
