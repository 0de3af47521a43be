"""What all services share: the safe way from Kafka through PostgreSQL to Kafka, and the HTTP shell.

Knows none of the services. Read in this order: `consumer`, `journal`, `relay`, `parked`, `runtime`.
"""
