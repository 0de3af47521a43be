-- Which register versions decided here: a decision can be reproduced years later (P8).
CREATE TABLE register_version (
    sha256    text PRIMARY KEY,
    version   text NOT NULL,
    document  text NOT NULL,
    loaded_at timestamptz NOT NULL
);

-- What routing needs of a case to decide on it again.
CREATE TABLE routed_case (
    case_id     uuid PRIMARY KEY,
    report_id   uuid NOT NULL,
    received_at timestamptz NOT NULL,
    situation   text NOT NULL,
    content     text NOT NULL,
    decisions   integer NOT NULL CHECK (decisions >= 1)
);

-- Whole explanations, kept once per content: many cases are alike in what decides.
CREATE TABLE explanation (
    sha256   bytea PRIMARY KEY,
    document text NOT NULL
);

-- Every decision with its whole explanation; numbers of one case are contiguous from 1.
CREATE TABLE decision (
    case_id       uuid NOT NULL REFERENCES routed_case (case_id),
    number        integer NOT NULL CHECK (number >= 1),
    decision_id   uuid NOT NULL UNIQUE,
    organisation  text NOT NULL,
    excluded      text NOT NULL,
    explanation   bytea NOT NULL REFERENCES explanation (sha256),
    register_hash text NOT NULL REFERENCES register_version (sha256),
    decided_at    timestamptz NOT NULL,
    PRIMARY KEY (case_id, number)
);
