-- Reports, their sealed content, and how their cases stand.

-- One row per report. The unique client and key make a repeated request the same report; they are
-- kept as long as the report, so a repeat after days is still a repeat.
CREATE TABLE report (
    report_id       uuid PRIMARY KEY,
    case_id         uuid NOT NULL,
    client          text NOT NULL,
    idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 8 AND 200),
    body_mac        bytea NOT NULL CHECK (octet_length(body_mac) = 32),
    channel         text NOT NULL,
    kind            text NOT NULL,
    code_mac        bytea NOT NULL UNIQUE CHECK (octet_length(code_mac) = 32),
    commitment      bytea NOT NULL CHECK (octet_length(commitment) = 32),
    received_at     timestamptz NOT NULL,
    committed_at    timestamptz NOT NULL,
    UNIQUE (client, idempotency_key)
);
COMMENT ON COLUMN report.body_mac IS 'keyed, so that nobody can test guesses of a narrative';
COMMENT ON COLUMN report.code_mac IS 'keyed hash; the code itself is stored nowhere';

-- The wrapped content key of a case; NULL after erasure, which makes its content unreadable.
CREATE TABLE case_key (
    case_id     uuid PRIMARY KEY,
    wrapped_key bytea,
    erased_at   timestamptz,
    CHECK ((wrapped_key IS NULL) = (erased_at IS NOT NULL))
);

-- Compact JWEs. They do not compress, so no attempt is made.
CREATE TABLE content (
    case_id   uuid NOT NULL REFERENCES case_key (case_id),
    report_id uuid NOT NULL,
    salt      bytea NOT NULL CHECK (octet_length(salt) = 32),
    narrative bytea,
    identity  bytea,
    PRIMARY KEY (case_id, report_id)
);
ALTER TABLE content ALTER COLUMN narrative SET STORAGE EXTERNAL;
ALTER TABLE content ALTER COLUMN identity SET STORAGE EXTERNAL;

-- Where a case stands, from the events of routing and referral; only moves forward.
-- No row: routing has not decided yet.
CREATE TABLE case_status (
    case_id           uuid PRIMARY KEY,
    decision_number   integer NOT NULL DEFAULT 0,
    handoff           integer NOT NULL DEFAULT 0,
    referral_sequence integer NOT NULL DEFAULT 0,
    stage             text NOT NULL,
    holder            text NOT NULL,
    next_actor        text,
    next_by           timestamptz,
    updated_at        timestamptz NOT NULL
);

-- Every referral's present state: who may still fetch content.
CREATE TABLE referral (
    referral_id uuid PRIMARY KEY,
    case_id     uuid NOT NULL,
    organisation text NOT NULL,
    attempt     integer NOT NULL CHECK (attempt >= 1),
    status      text NOT NULL,
    sequence    integer NOT NULL
);
