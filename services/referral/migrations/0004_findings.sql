-- The ladder to a committee's finding and beyond: legal regimes, findings, replies, evidence.

-- Legal regimes as the register has them, per version of the register.
CREATE TABLE finding_register (
    register_version text PRIMARY KEY,
    valid_from       timestamptz NOT NULL,
    activated_at     timestamptz NOT NULL
);
CREATE TABLE finding_regime (
    register_version     text NOT NULL REFERENCES finding_register (register_version),
    regime               text NOT NULL,
    position             integer NOT NULL,
    valid_from           date,
    valid_to             date,
    kind                 text NOT NULL CHECK (kind IN ('advice', 'comply-or-report', 'binding')),
    board_response_weeks integer NOT NULL CHECK (board_response_weeks BETWEEN 1 AND 52),
    after_silence        text NOT NULL,
    after_deviation      text NOT NULL,
    source               text NOT NULL,
    to_verify            boolean NOT NULL,
    PRIMARY KEY (register_version, regime)
);
COMMENT ON COLUMN finding_regime.after_silence IS 'Who is told, in this order, by spaces';

-- States and the legal steps between them; the same table as TRANSITIONS in findings/domain.py.
CREATE TABLE finding_transition (
    from_state text NOT NULL,
    to_state   text NOT NULL,
    PRIMARY KEY (from_state, to_state)
);
INSERT INTO finding_transition (from_state, to_state)
SELECT f, unnest(string_to_array(t, ' ')) FROM (VALUES
    ('issued',              'reply-due closed'),
    ('reply-due',           'deviation-announced replied-following partly not-followed silent closed'),
    ('deviation-announced', 'replied-following partly not-followed silent closed'),
    ('replied-following',   'followed partly not-followed silent closed'),
    ('partly',              'followed replied-following not-followed with-supervisor closed'),
    ('not-followed',        'replied-following partly with-supervisor closed'),
    ('silent',              'deviation-announced replied-following partly not-followed followed with-supervisor closed'),
    ('with-supervisor',     'replied-following partly not-followed followed closed')
) AS step(f, t);

CREATE TABLE finding (
    finding_id       uuid PRIMARY KEY,
    case_id          uuid NOT NULL REFERENCES case_holder (case_id),
    referral_id      uuid REFERENCES referral (referral_id),
    committee        text NOT NULL,
    board            text NOT NULL,
    decision         text NOT NULL CHECK (decision IN ('upheld', 'partly-upheld', 'not-upheld')),
    advice           boolean NOT NULL,
    issued_on        date NOT NULL,
    register_version text,
    regime           text,
    state            text NOT NULL CHECK (state IN ('issued', 'reply-due', 'deviation-announced',
                         'replied-following', 'partly', 'not-followed', 'silent',
                         'with-supervisor', 'followed', 'closed')),
    next_actor       text,
    next_action      text CHECK (next_action IN ('reply', 'report-deviation', 'check-reply',
                         'show-measures', 'check-measures', 'follow-supervisor', 'find-regime')),
    next_due_at      timestamptz,
    fires_at         timestamptz,
    reply_due_at     timestamptz,
    reply            text CHECK (reply IN ('follows', 'partly', 'does-not-follow')),
    first_replied_on date,
    deviated_to      date,
    measures_by      date,
    silent_at        timestamptz,
    told             text NOT NULL,
    reminders        integer NOT NULL CHECK (reminders >= 0),
    evidence         integer NOT NULL CHECK (evidence >= 0),
    settlement       text CHECK (settlement IN ('followed', 'partly-followed', 'not-followed',
                         'no-reply', 'withdrawn', 'entered-in-error')),
    settled_at       timestamptz,
    opened_at        timestamptz NOT NULL,
    changed_at       timestamptz NOT NULL,
    FOREIGN KEY (register_version, regime) REFERENCES finding_regime (register_version, regime),
    CONSTRAINT open_finding_has_next_step CHECK (state IN ('followed', 'closed') OR (
        next_actor IS NOT NULL AND next_action IS NOT NULL AND next_due_at IS NOT NULL
        AND fires_at IS NOT NULL)),
    CONSTRAINT ended_finding_is_settled CHECK ((state IN ('followed', 'closed')) = (
        next_actor IS NULL AND next_action IS NULL AND next_due_at IS NULL AND fires_at IS NULL
        AND settlement IS NOT NULL AND settled_at IS NOT NULL)),
    CONSTRAINT followed_is_followed CHECK ((state = 'followed')
        = (settlement IS NOT DISTINCT FROM 'followed')),
    CONSTRAINT running_term_has_regime CHECK (state IN ('issued', 'closed')
        OR (regime IS NOT NULL AND reply_due_at IS NOT NULL)),
    CONSTRAINT reply_has_day CHECK (reply IS NULL OR first_replied_on IS NOT NULL)
) WITH (fillfactor = 80);
COMMENT ON COLUMN finding.told IS 'Supervisors that were told, in order, by spaces';
-- One committee and one finding per case: there is no appeal to a second one.
CREATE UNIQUE INDEX finding_one_of_case ON finding (case_id)
    WHERE settlement IS DISTINCT FROM 'entered-in-error';
CREATE INDEX finding_of_case ON finding (case_id);
CREATE INDEX finding_fires ON finding (fires_at) WHERE fires_at IS NOT NULL;
CREATE INDEX finding_next_due ON finding (next_due_at, finding_id) WHERE next_due_at IS NOT NULL;

CREATE TABLE finding_reply (
    finding_id  uuid NOT NULL REFERENCES finding (finding_id),
    reply_id    uuid NOT NULL,
    reply       text NOT NULL CHECK (reply IN ('follows', 'partly', 'does-not-follow',
                    'deviates-from-term')),
    replied_on  date NOT NULL,
    brought_by  text NOT NULL,
    reasons     text CHECK (length(reasons) <= 2000),
    new_date    date,
    measures_by date,
    digest      text CHECK (digest ~ '^[0-9a-f]{64}$'),
    at          timestamptz NOT NULL,
    PRIMARY KEY (finding_id, reply_id),
    CONSTRAINT deviation_has_reasons CHECK (reply = 'follows' OR reasons IS NOT NULL),
    CONSTRAINT deviation_has_date CHECK ((reply = 'deviates-from-term') = (new_date IS NOT NULL)),
    CONSTRAINT on_behalf_has_digest CHECK (brought_by <> 'vangnet' OR digest IS NOT NULL)
);
COMMENT ON COLUMN finding_reply.reasons IS 'For desk, committee and supervisor: in no event or log';

CREATE TABLE finding_evidence (
    finding_id  uuid NOT NULL REFERENCES finding (finding_id),
    evidence_id uuid NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('document', 'inspection', 'statement')),
    day         date NOT NULL,
    brought_by  text NOT NULL,
    digest      text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    text        text CHECK (length(text) <= 2000),
    confirms    boolean NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (finding_id, evidence_id)
);
COMMENT ON COLUMN finding_evidence.text IS 'For desk, committee and supervisor: in no event or log';

CREATE FUNCTION refuse_finding_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM finding_transition
                   WHERE from_state = OLD.state AND to_state = NEW.state) THEN
        RAISE EXCEPTION 'finding: % to % is no legal transition', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'finding_transition';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER finding_transition BEFORE UPDATE OF state ON finding
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION refuse_finding_transition();

CREATE FUNCTION refuse_finding_start() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'finding: must begin as issued or reply-due, not as %', NEW.state
        USING ERRCODE = 'check_violation', CONSTRAINT = 'finding_start';
END $$;
CREATE TRIGGER finding_start BEFORE INSERT ON finding
    FOR EACH ROW WHEN (NEW.state NOT IN ('issued', 'reply-due'))
    EXECUTE FUNCTION refuse_finding_start();

-- That a finding was followed needs evidence that committee or desk confirmed.
CREATE FUNCTION check_finding_followed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM finding_evidence WHERE finding_id = NEW.finding_id AND confirms
                   AND brought_by IN ('vangnet', NEW.committee)) THEN
        RAISE EXCEPTION 'finding: followed without confirmed evidence'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'followed_has_evidence';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER followed_has_evidence AFTER UPDATE ON finding
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.state = 'followed' AND OLD.state <> 'followed')
    EXECUTE FUNCTION check_finding_followed();

-- The regime of the day of the finding decides, and stays the one that decided.
CREATE FUNCTION refuse_finding_rewritten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: what was recorded stays', TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = 'finding_record_stays';
END $$;
CREATE TRIGGER finding_regime_stays BEFORE UPDATE ON finding
    FOR EACH ROW WHEN (
        (OLD.regime IS NOT NULL AND OLD.regime IS DISTINCT FROM NEW.regime)
        OR (OLD.regime IS NOT NULL AND OLD.register_version IS DISTINCT FROM NEW.register_version)
        OR OLD.issued_on IS DISTINCT FROM NEW.issued_on
        OR OLD.decision IS DISTINCT FROM NEW.decision)
    EXECUTE FUNCTION refuse_finding_rewritten();
CREATE TRIGGER finding_reply_stays BEFORE UPDATE OR DELETE ON finding_reply
    FOR EACH ROW EXECUTE FUNCTION refuse_finding_rewritten();
CREATE TRIGGER finding_evidence_stays BEFORE UPDATE OR DELETE ON finding_evidence
    FOR EACH ROW EXECUTE FUNCTION refuse_finding_rewritten();
