-- Referral: who holds each case, the attempts at organisations, and their answers.

-- Statuses and the legal steps between them; the same table as TRANSITIONS in domain.py.
CREATE TABLE referral_transition (
    from_status text NOT NULL,
    to_status   text NOT NULL,
    PRIMARY KEY (from_status, to_status)
);
INSERT INTO referral_transition (from_status, to_status)
SELECT f, unnest(string_to_array(t, ' ')) FROM (VALUES
    ('requested',   'received accepted rejected failed cancelled entered-in-error'),
    ('received',    'accepted rejected failed cancelled entered-in-error'),
    ('accepted',    'in-progress on-hold completed failed cancelled entered-in-error'),
    ('in-progress', 'on-hold completed failed cancelled entered-in-error'),
    ('on-hold',     'in-progress completed failed cancelled entered-in-error')
) AS step(f, t);

CREATE TABLE partner (
    organisation text PRIMARY KEY CHECK (organisation ~ '^[a-z0-9][a-z0-9_]{1,63}$'),
    name         text NOT NULL,
    channel      text NOT NULL CHECK (channel IN ('kafka', 'inbox')),
    active       boolean NOT NULL DEFAULT true
);

-- One row per case, so one holder per case; the desk (`vangnet`) until a partner accepts.
CREATE TABLE case_holder (
    case_id           uuid PRIMARY KEY,
    report_id         uuid NOT NULL,
    holder            text NOT NULL,
    handoff           integer NOT NULL CHECK (handoff >= 0),
    decision_id       uuid NOT NULL,
    decision_number   integer NOT NULL CHECK (decision_number >= 1),
    attempts          integer NOT NULL CHECK (attempts >= 0),
    returns           integer NOT NULL CHECK (returns >= 0),
    returned_by       text NOT NULL,
    desk_reason       text CHECK (desk_reason IN ('no-competent-party', 'shown-only',
                          'no-feedback-party', 'second-return', 'no-channel', 'term-expired')),
    next_actor        text,
    next_action       text CHECK (next_action IN ('acknowledge', 'decide', 'handle', 'assign',
                          'ask-reporter', 'find-party')),
    next_due_at       timestamptz,
    open              boolean NOT NULL,
    kind              text NOT NULL,
    urgency           text NOT NULL,
    situation         text NOT NULL,
    content           text NOT NULL,
    first_received_at timestamptz NOT NULL,
    opened_at         timestamptz NOT NULL,
    changed_at        timestamptz NOT NULL,
    CONSTRAINT open_case_has_next_step CHECK (
        NOT open OR (next_actor IS NOT NULL AND next_action IS NOT NULL AND next_due_at IS NOT NULL)
    ),
    CONSTRAINT first_holder_is_desk CHECK (handoff > 0 OR holder = 'vangnet')
) WITH (fillfactor = 80);
COMMENT ON COLUMN case_holder.returned_by IS 'Organisations that declined or kept silent, by spaces';
COMMENT ON COLUMN case_holder.content IS 'Which sealed fields intake has, by spaces; never the content';
CREATE INDEX case_next_due ON case_holder (next_due_at, case_id) WHERE open;

CREATE TABLE referral (
    referral_id            uuid PRIMARY KEY,
    case_id                uuid NOT NULL REFERENCES case_holder (case_id),
    attempt                integer NOT NULL CHECK (attempt >= 1),
    organisation           text NOT NULL CHECK (organisation <> 'vangnet'),
    loket                  text,
    decision_id            uuid NOT NULL,
    signal                 boolean NOT NULL,
    status                 text NOT NULL CHECK (status IN ('requested', 'received', 'accepted',
                               'rejected', 'in-progress', 'on-hold', 'completed', 'failed',
                               'cancelled', 'entered-in-error')),
    business_status        text CHECK (business_status IN ('referred-onward', 'returned',
                               'no-contact', 'term-expired')),
    reason                 text CHECK (reason IN ('not-competent', 'not-eligible', 'capacity',
                               'wrong-region', 'already-handled', 'reporter-choice', 'no-contact',
                               'conflict-of-interest', 'other')),
    reason_text            text CHECK (length(reason_text) <= 500),
    suggested_organisation text,
    offered_at             timestamptz NOT NULL,
    received_by            timestamptz NOT NULL,
    accepted_by            timestamptz NOT NULL,
    received_at            timestamptz,
    accepted_at            timestamptz,
    closed_at              timestamptz,
    due_at                 timestamptz,
    UNIQUE (case_id, attempt),
    CONSTRAINT decline_has_reason CHECK (status <> 'rejected' OR reason IS NOT NULL),
    CONSTRAINT accept_has_time CHECK (
        status NOT IN ('accepted', 'in-progress', 'on-hold', 'completed') OR accepted_at IS NOT NULL
    ),
    CONSTRAINT awaited_answer_has_due_time CHECK (
        (due_at IS NOT NULL) = (status IN ('requested', 'received') AND NOT signal)
    )
) WITH (fillfactor = 80);
COMMENT ON COLUMN referral.reason_text IS 'For the desk only: in no event, log or answer to a partner';
CREATE UNIQUE INDEX referral_one_holder ON referral (case_id)
    WHERE status IN ('accepted', 'in-progress', 'on-hold');
CREATE UNIQUE INDEX referral_one_request ON referral (case_id)
    WHERE status IN ('requested', 'received');
CREATE INDEX referral_due ON referral (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX referral_of_organisation ON referral (organisation, referral_id);

-- Answers that had an effect, so that a repeat is known whatever channel brings it.
CREATE TABLE answer (
    organisation text NOT NULL,
    answer_id    uuid NOT NULL,
    referral_id  uuid NOT NULL,
    attempt      integer NOT NULL,
    answer       text NOT NULL CHECK (answer IN ('received', 'accepted', 'rejected')),
    reason       text,
    answered_at  timestamptz NOT NULL,
    applied_at   timestamptz NOT NULL,
    PRIMARY KEY (organisation, answer_id)
);

CREATE FUNCTION refuse_illegal_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM referral_transition
                   WHERE from_status = OLD.status AND to_status = NEW.status) THEN
        RAISE EXCEPTION 'referral: % to % is no legal transition', OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'referral_transition';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER referral_transition BEFORE UPDATE OF status ON referral
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION refuse_illegal_transition();

-- A referral begins as a request; `cancelled` is one that was offered and withdrawn in one batch.
CREATE FUNCTION refuse_illegal_start() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'referral: must begin as requested, not as %', NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'referral_start';
END $$;
CREATE TRIGGER referral_start BEFORE INSERT ON referral
    FOR EACH ROW WHEN (NEW.status NOT IN ('requested', 'cancelled'))
    EXECUTE FUNCTION refuse_illegal_start();

-- The holder is the organisation of the holding referral, and the desk when there is none. Checked
-- at the commit, because both rows change in one transaction.
CREATE FUNCTION check_holder() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    named text;
    proved text;
BEGIN
    SELECT holder INTO named FROM case_holder WHERE case_id = NEW.case_id;
    SELECT organisation INTO proved FROM referral
    WHERE case_id = NEW.case_id AND status IN ('accepted', 'in-progress', 'on-hold');
    IF named IS DISTINCT FROM coalesce(proved, 'vangnet') THEN
        RAISE EXCEPTION 'case_holder: holder and holding referral differ'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'holder_is_proved';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER holder_is_proved AFTER UPDATE ON case_holder
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.holder IS DISTINCT FROM NEW.holder)
    EXECUTE FUNCTION check_holder();
CREATE CONSTRAINT TRIGGER first_holder_is_proved AFTER INSERT ON case_holder
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.holder <> 'vangnet')
    EXECUTE FUNCTION check_holder();
CREATE CONSTRAINT TRIGGER holding_is_named AFTER UPDATE ON referral
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (
        (OLD.status IN ('accepted', 'in-progress', 'on-hold'))
        <> (NEW.status IN ('accepted', 'in-progress', 'on-hold'))
    )
    EXECUTE FUNCTION check_holder();
