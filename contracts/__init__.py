"""What the services may know of one another: events, topics, enumerations and the envelope.

Imports nothing but the standard library and pydantic, so that a partner can copy it whole.
"""
