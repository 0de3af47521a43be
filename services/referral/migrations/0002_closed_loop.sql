-- The closed loop: what holders answer, onward referrals, reminders, hand-overs, consultations.

ALTER TABLE case_holder
    DROP CONSTRAINT case_holder_desk_reason_check,
    DROP CONSTRAINT case_holder_next_action_check,
    ADD COLUMN limits       text,
    ADD COLUMN other_lokets text NOT NULL DEFAULT '',
    ADD COLUMN never        text NOT NULL DEFAULT '',
    ADD COLUMN step_since   timestamptz,
    ADD COLUMN reminders    integer NOT NULL DEFAULT 0 CHECK (reminders >= 0),
    ADD COLUMN timer_at     timestamptz;
-- Cases of before: the limits of an ordinary case, and no timer, as they had none.
UPDATE case_holder SET limits =
    '{"received_within_minutes":1440,"accepted_within_minutes":7200}', step_since = changed_at;
ALTER TABLE case_holder
    ALTER COLUMN limits SET NOT NULL,
    ADD CONSTRAINT case_holder_desk_reason_check CHECK (desk_reason IN ('no-competent-party',
        'shown-only', 'no-feedback-party', 'second-return', 'no-channel', 'term-expired',
        'taken-back', 'withdrawn', 'entered-in-error', 'no-contact', 'not-helped', 'finding')),
    ADD CONSTRAINT case_holder_next_action_check CHECK (next_action IN ('acknowledge', 'decide',
        'handle', 'assign', 'ask-reporter', 'find-party', 'hand-over', 'call-holder',
        'answer-question', 'judge-withdrawal', 'reply-to-finding', 'check-finding')),
    ADD CONSTRAINT closed_case_has_no_next_step CHECK (open OR (next_actor IS NULL
        AND timer_at IS NULL));
COMMENT ON COLUMN case_holder.never IS 'Parties that the case is about, by spaces; never a recipient';
COMMENT ON COLUMN case_holder.timer_at IS 'When time alone changes the case: a reminder or an end';
CREATE INDEX case_timer ON case_holder (timer_at) WHERE timer_at IS NOT NULL;

ALTER TABLE referral
    ADD COLUMN channel        text,
    ADD COLUMN outcome        text CHECK (outcome IN ('helped', 'advised', 'mediated', 'informed',
                                  'decided', 'not-helped', 'no-contact', 'withdrawn')),
    ADD COLUMN decision       text CHECK (decision IN ('upheld', 'partly-upheld', 'not-upheld',
                                  'withdrawn', 'inadmissible')),
    ADD COLUMN until          timestamptz,
    ADD COLUMN onward_of      uuid REFERENCES referral (referral_id),
    ADD COLUMN onward_to      text,
    ADD COLUMN handed_over_by text CHECK (handed_over_by IN ('phone', 'letter', 'visit')),
    ADD COLUMN rung           text CHECK (rung IN ('other-loket', 'other-channel',
                                  'next-organisation', 'desk'));
UPDATE referral SET channel = coalesce(
    (SELECT p.channel FROM partner p WHERE p.organisation = referral.organisation), 'inbox');
ALTER TABLE referral
    ALTER COLUMN channel SET NOT NULL,
    DROP CONSTRAINT awaited_answer_has_due_time,
    ADD CONSTRAINT referral_channel_check
        CHECK (channel IN ('kafka', 'inbox', 'webhook', 'email', 'desk')),
    ADD CONSTRAINT awaited_answer_has_due_time CHECK ((due_at IS NOT NULL) = (NOT signal AND
        (status = 'received' OR (status = 'requested' AND channel <> 'desk')))),
    ADD CONSTRAINT decided_has_decision CHECK (outcome <> 'decided' OR decision IS NOT NULL),
    ADD CONSTRAINT on_hold_has_date CHECK (status <> 'on-hold' OR until IS NOT NULL
        OR business_status IS NOT DISTINCT FROM 'no-contact'
        OR business_status IS NOT DISTINCT FROM 'referred-onward');

ALTER TABLE answer DROP CONSTRAINT answer_answer_check, ADD CONSTRAINT answer_answer_check
    CHECK (answer IN ('received', 'accepted', 'rejected', 'in-progress', 'on-hold', 'no-contact',
        'completed', 'returned', 'referred-onward', 'entered-in-error')),
    ADD COLUMN digest text;
COMMENT ON COLUMN answer.digest IS 'What was said beside answer and reason; a repeat must say the same';

-- What the reporter did while the case was not known here yet; applied as soon as it is.
CREATE TABLE case_notice (
    case_id uuid NOT NULL,
    kind    text NOT NULL CHECK (kind IN ('withdrawn', 'identity-hidden', 'not-helped')),
    at      timestamptz NOT NULL,
    PRIMARY KEY (case_id, kind)
);

-- Legal terms that run in a case and whose last day is known; warned before they lapse.
CREATE TABLE legal_term (
    case_id      uuid NOT NULL REFERENCES case_holder (case_id),
    term         text NOT NULL,
    organisation text NOT NULL,
    last_day     date NOT NULL,
    warned       integer NOT NULL DEFAULT 0 CHECK (warned >= 0),
    warn_at      timestamptz,
    PRIMARY KEY (case_id, term)
);
CREATE INDEX legal_term_due ON legal_term (warn_at) WHERE warn_at IS NOT NULL;

-- What the desk brought by phone, letter or visit: who, when, and what was said to it.
CREATE TABLE hand_over (
    hand_over_id uuid PRIMARY KEY,
    referral_id  uuid NOT NULL REFERENCES referral (referral_id),
    how          text NOT NULL CHECK (how IN ('phone', 'letter', 'visit')),
    accepted     boolean NOT NULL,
    declined     text CHECK (declined IN ('not-competent', 'not-eligible', 'capacity',
                     'wrong-region', 'already-handled', 'reporter-choice', 'no-contact',
                     'conflict-of-interest', 'other')),
    handed_at    timestamptz NOT NULL,
    spoken_with  text CHECK (length(spoken_with) <= 200),
    recorded_by  text NOT NULL CHECK (length(recorded_by) <= 200),
    recorded_at  timestamptz NOT NULL,
    CONSTRAINT one_answer CHECK (NOT accepted OR declined IS NULL)
);
COMMENT ON COLUMN hand_over.spoken_with IS 'Function at the organisation, for the desk only';
CREATE INDEX hand_over_of_referral ON hand_over (referral_id);

-- A holder asks another organisation for advice; texts are for those two and the desk only.
CREATE TABLE consultation (
    consultation_id uuid PRIMARY KEY,
    case_id         uuid NOT NULL REFERENCES case_holder (case_id),
    referral_id     uuid NOT NULL REFERENCES referral (referral_id),
    asked_by        text NOT NULL,
    organisation    text NOT NULL CHECK (organisation <> asked_by),
    question        text NOT NULL CHECK (length(question) <= 4000),
    asked_at        timestamptz NOT NULL,
    answer_by       timestamptz NOT NULL,
    advice          text CHECK (length(advice) <= 4000),
    advised         boolean,
    answered_at     timestamptz,
    CONSTRAINT answer_is_whole CHECK ((advised IS NULL) = (answered_at IS NULL))
);
CREATE INDEX consultation_of_case ON consultation (case_id);
CREATE INDEX consultation_of_organisation ON consultation (organisation, consultation_id);

-- The holder is the organisation of the holding referral, and the desk when there is none; a closed
-- case keeps who completed it. Checked at the commit, because both rows change in one transaction.
CREATE OR REPLACE FUNCTION check_holder() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    named text;
    still_open boolean;
    proved text;
BEGIN
    SELECT holder, open INTO named, still_open FROM case_holder WHERE case_id = NEW.case_id;
    SELECT organisation INTO proved FROM referral
    WHERE case_id = NEW.case_id AND status IN ('accepted', 'in-progress', 'on-hold');
    IF NOT still_open AND proved IS NULL THEN
        SELECT organisation INTO proved FROM referral
        WHERE case_id = NEW.case_id AND status = 'completed' AND organisation = named LIMIT 1;
    END IF;
    IF named IS DISTINCT FROM coalesce(proved, 'vangnet') THEN
        RAISE EXCEPTION 'case_holder: holder and holding referral differ'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'holder_is_proved';
    END IF;
    RETURN NULL;
END $$;
