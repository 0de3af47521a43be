-- What a reporter does who returns with the code, what holders ask, and what organisations that
-- are consulted may read.

ALTER TABLE report ADD COLUMN withdrawn_at timestamptz;
ALTER TABLE report ADD COLUMN not_helped_at timestamptz;

-- The sealed identity stays, so that the commitment can still be checked; nobody gets it any more.
ALTER TABLE content ADD COLUMN identity_hidden_at timestamptz;

ALTER TABLE case_status ADD COLUMN urgency text;
ALTER TABLE case_status ADD COLUMN next_action text;
ALTER TABLE case_status ADD COLUMN until timestamptz;
ALTER TABLE case_status ADD COLUMN onward_to text;
ALTER TABLE case_status ADD COLUMN outcome text;
ALTER TABLE case_status ADD COLUMN finding text;
ALTER TABLE case_status ADD COLUMN finding_sequence integer NOT NULL DEFAULT 0;

-- A consultation is kept like a referral under its own id: who is asked for advice may read too.
ALTER TABLE referral ADD COLUMN consulted boolean NOT NULL DEFAULT false;

-- Questions of holders to the reporter; both texts are compact JWEs under the key of the case.
CREATE TABLE question (
    case_id      uuid NOT NULL REFERENCES case_key (case_id),
    question_id  uuid NOT NULL,
    referral_id  uuid NOT NULL,
    organisation text NOT NULL,
    text         bytea NOT NULL,
    text_mac     bytea NOT NULL CHECK (octet_length(text_mac) = 32),
    asked_at     timestamptz NOT NULL,
    answer_by    timestamptz NOT NULL,
    answer       bytea,
    answer_mac   bytea CHECK (octet_length(answer_mac) = 32),
    answered_at  timestamptz,
    PRIMARY KEY (case_id, question_id),
    CHECK ((answer IS NULL) = (answered_at IS NULL)),
    CHECK ((answer IS NULL) = (answer_mac IS NULL))
);
ALTER TABLE question ALTER COLUMN text SET STORAGE EXTERNAL;
ALTER TABLE question ALTER COLUMN answer SET STORAGE EXTERNAL;
COMMENT ON COLUMN question.text_mac IS 'keyed, to know a repeat without opening the seal';

-- Legal terms that end soon, as referral warned of them.
CREATE TABLE term_warning (
    case_id      uuid NOT NULL,
    organisation text NOT NULL,
    term         text NOT NULL,
    last_day     date NOT NULL,
    sequence     integer NOT NULL,
    PRIMARY KEY (case_id, organisation, term)
);
