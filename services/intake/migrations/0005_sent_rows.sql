-- What intake sends for every report, decision and event, as arrays of records: the driver looks at
-- each element of an array, so that one array of records costs it much less than one array for each
-- column. Whoever needs another column makes another type, because a running service uses these.
CREATE TYPE sent_report AS (
    report_id       uuid,
    case_id         uuid,
    client          text,
    idempotency_key text,
    body_mac        bytea,
    channel         text,
    kind            text,
    code_mac        bytea,
    commitment      bytea,
    received_at     timestamptz,
    wrapped_key     bytea,
    salt            bytea,
    narrative       bytea,
    identity        bytea
);
CREATE TYPE sent_decision AS (
    case_id uuid,
    number  integer,
    stage   text,
    holder  text,
    urgency text
);
CREATE TYPE sent_standing AS (
    case_id     uuid,
    handoff     integer,
    sequence    integer,
    stage       text,
    holder      text,
    next_actor  text,
    next_by     timestamptz,
    next_action text,
    until       timestamptz,
    onward_to   text,
    outcome     text
);
CREATE TYPE sent_referral AS (
    referral_id  uuid,
    case_id      uuid,
    organisation text,
    attempt      integer,
    status       text,
    sequence     integer,
    consulted    boolean
);
