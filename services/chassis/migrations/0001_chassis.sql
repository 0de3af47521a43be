-- Journal, outbox, inbox and parked events: the same in every service's database.

-- One row per CloudEvents source; its row lock, taken last in a transaction, makes sequences
-- contiguous and visible in order.
CREATE TABLE source (
    id            smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    urn           text NOT NULL UNIQUE,
    last_sequence integer NOT NULL DEFAULT 0 CHECK (last_sequence >= 0)
);

-- Every event ever published: the system of record from which topics are rebuilt.
CREATE TABLE event (
    source_id   smallint NOT NULL REFERENCES source (id),
    sequence    integer NOT NULL CHECK (sequence >= 1),
    id          uuid NOT NULL,
    type        text NOT NULL,
    topic       text,
    key         uuid NOT NULL,
    time        timestamptz NOT NULL,
    dataschema  text,
    dataref     text,
    traceparent text,
    data        bytea NOT NULL CHECK (octet_length(data) BETWEEN 1 AND 65536),
    PRIMARY KEY (source_id, sequence)
);
COMMENT ON COLUMN event.topic IS 'NULL: kept for a partner that reads over the inbox API';

-- Pointers to events that still have to reach Kafka; a work queue, never read by a cursor.
CREATE TABLE outbox (
    position  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id smallint NOT NULL,
    sequence  integer NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_insert_scale_factor = 0.2);

-- One row per event whose effect is in this database.
CREATE TABLE inbox (
    source text NOT NULL,
    id     text NOT NULL,
    PRIMARY KEY (source, id)
);

-- What could not be handled: visible, counted, re-driven by command in the order of `position`.
CREATE TABLE parked (
    position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          uuid NOT NULL UNIQUE,
    fingerprint bytea NOT NULL UNIQUE,
    reason      text NOT NULL,
    problem     text NOT NULL,
    topic       text NOT NULL,
    partition   integer NOT NULL,
    kafka_offset bigint NOT NULL,
    key         text,
    headers     bytea NOT NULL,
    value       bytea,
    parked_at   timestamptz NOT NULL,
    redriven_at timestamptz
);
CREATE INDEX parked_open ON parked (topic, key, position) WHERE redriven_at IS NULL;
