-- Audit's own picture, built from the topics alone, and its append-only log.

-- Every event that was consumed, in the order of the log. Metadata and a digest, no content.
CREATE TABLE trail (
    log_index    bigint PRIMARY KEY CHECK (log_index >= 0),
    case_id      uuid,
    entry        integer CHECK (entry >= 1),
    source       text NOT NULL,
    sequence     integer NOT NULL CHECK (sequence >= 0),
    event_id     text NOT NULL,
    type         text NOT NULL,
    time         timestamptz NOT NULL,
    at           timestamptz NOT NULL,
    holder       text,
    handoff      integer,
    organisation text,
    referral     text,
    attempt      integer,
    status       text,
    reason       text,
    next_actor   text,
    next_action  text,
    next_due_at  timestamptz,
    digest       bytea NOT NULL CHECK (octet_length(digest) = 32),
    leaf         bytea NOT NULL CHECK (octet_length(leaf) = 32),
    chain        bytea NOT NULL CHECK (octet_length(chain) = 32),
    CHECK ((case_id IS NULL) = (entry IS NULL))
) WITH (autovacuum_vacuum_insert_scale_factor = 0.2);
COMMENT ON COLUMN trail.leaf IS 'RFC 6962 leaf hash; a Merkle tree can be built over it as it is';
CREATE UNIQUE INDEX trail_case ON trail (case_id, entry) WHERE case_id IS NOT NULL;

-- The application role is named as its database. It adds to the log and can change nothing in it.
DO $$
BEGIN
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON trail FROM %I', current_database());
END
$$;

-- One row: where the log ends. Its lock is taken first by every writer, which makes the log one
-- line and every deadlock between writers impossible.
CREATE TABLE log_head (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    size  bigint NOT NULL CHECK (size >= 0),
    chain bytea NOT NULL CHECK (octet_length(chain) = 32)
);
INSERT INTO log_head (size, chain) VALUES (0, sha256(''));

CREATE TABLE case_picture (
    case_id              uuid PRIMARY KEY,
    reference            text NOT NULL,
    entries              integer NOT NULL,
    report_id            uuid,
    received_at          timestamptz,
    kind                 text,
    first_channel        text,
    decisions_seen       bigint NOT NULL,
    assigned_at          timestamptz,
    organisation         text,
    mode                 text,
    offered_at           timestamptz,
    offer_sequence       integer NOT NULL,
    referral_received_at timestamptz,
    accepted_at          timestamptz,
    accepted_by          text,
    accept_handoff       integer NOT NULL,
    holder               text,
    handoff              integer NOT NULL,
    holder_sequence      integer NOT NULL,
    handoffs_seen        bigint NOT NULL,
    next_actor           text,
    next_action          text,
    next_due_at          timestamptz,
    holder_at            timestamptz,
    at_desk_reason       text,
    desk_sequence        integer NOT NULL,
    returns              integer NOT NULL,
    parked_open          integer NOT NULL,
    last_event_at        timestamptz NOT NULL,
    -- Derived by the rules from the columns above; here so that they can be searched.
    standing             text NOT NULL CHECK (standing IN
                             ('parked', 'incomplete', 'picked-up', 'at-desk', 'waiting')),
    due_at               timestamptz
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05,
        autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE INDEX case_picture_reference ON case_picture (reference);
CREATE INDEX case_picture_due ON case_picture (due_at)
    WHERE standing IN ('at-desk', 'waiting');
CREATE INDEX case_picture_standing ON case_picture (standing, case_id)
    WHERE standing <> 'picked-up';

-- Every report by its id; several can belong to one case.
CREATE TABLE report (
    report_id   uuid PRIMARY KEY,
    case_id     uuid NOT NULL,
    received_at timestamptz NOT NULL
);

-- Sums over all pictures, kept in the transaction that changes them.
CREATE TABLE counter (
    name  text PRIMARY KEY,
    value bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE source_progress (
    source  text PRIMARY KEY,
    highest integer NOT NULL CHECK (highest >= 0),
    seen    integer NOT NULL CHECK (seen BETWEEN 0 AND highest),
    tallied integer NOT NULL CHECK (tallied BETWEEN 0 AND highest)
) WITH (fillfactor = 50);

-- Which sequences were seen: 1024 bits a row, bit i of block b is sequence b * 1024 + i + 1.
CREATE TABLE sequence_block (
    source text NOT NULL,
    block  integer NOT NULL CHECK (block >= 0),
    bits   bytea NOT NULL CHECK (octet_length(bits) = 128),
    PRIMARY KEY (source, block)
) WITH (fillfactor = 50);

-- Events that a service put aside. `parked_at` is absent while only the re-drive was seen.
CREATE TABLE parked_event (
    parked_id   uuid PRIMARY KEY,
    consumer    text NOT NULL,
    case_id     uuid,
    reason      text,
    parked_at   timestamptz,
    redriven_at timestamptz
);
CREATE INDEX parked_event_open ON parked_event (parked_at)
    WHERE redriven_at IS NULL AND parked_at IS NOT NULL;
