-- The closed loop: cases that are closed, holders that are late, figures and deliveries.

ALTER TABLE case_picture
    ADD COLUMN closed_at       timestamptz,
    ADD COLUMN closed_because  text,
    ADD COLUMN closed_outcome  text,
    ADD COLUMN closed_sequence integer NOT NULL DEFAULT 0,
    ADD COLUMN withdrawn_at    timestamptz,
    ADD COLUMN reminders       integer NOT NULL DEFAULT 0,
    ADD COLUMN escalations     integer NOT NULL DEFAULT 0,
    DROP CONSTRAINT case_picture_standing_check,
    ADD CONSTRAINT case_picture_standing_check CHECK (standing IN
        ('parked', 'incomplete', 'closed', 'picked-up', 'at-desk', 'waiting'));

-- Also a holder can be late; a closed case never is.
DROP INDEX case_picture_due;
CREATE INDEX case_picture_due ON case_picture (due_at)
    WHERE standing IN ('at-desk', 'waiting', 'picked-up');
DROP INDEX case_picture_standing;
CREATE INDEX case_picture_standing ON case_picture (standing, case_id)
    WHERE standing NOT IN ('picked-up', 'closed');

-- How often something happened, per organisation (or the desk, or the reporter).
CREATE TABLE figure (
    organisation text NOT NULL,
    fact         text NOT NULL,
    number       bigint NOT NULL,
    PRIMARY KEY (organisation, fact)
) WITH (fillfactor = 50);

-- Where each finding stands; the event with the highest sequence counts.
CREATE TABLE finding (
    finding_id uuid PRIMARY KEY,
    case_id    uuid NOT NULL,
    regime     text,
    state      text NOT NULL,
    sequence   integer NOT NULL,
    reply_days integer,
    settlement text
);

-- Whether an organisation gets what is sent to it; the event with the highest sequence counts.
CREATE TABLE delivery (
    organisation text NOT NULL,
    channel      text NOT NULL,
    state        text NOT NULL,
    waiting      integer NOT NULL CHECK (waiting >= 0),
    since        timestamptz NOT NULL,
    at           timestamptz NOT NULL,
    sequence     integer NOT NULL,
    PRIMARY KEY (organisation, channel)
);
