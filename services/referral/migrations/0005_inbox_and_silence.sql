-- The inbox: up to where each partner has said that it has its events; and consultations without answer.

CREATE TABLE inbox_cursor (
    organisation    text PRIMARY KEY CHECK (organisation <> 'vangnet'),
    acknowledged    integer NOT NULL CHECK (acknowledged > 0),
    acknowledged_at timestamptz NOT NULL
);
COMMENT ON COLUMN inbox_cursor.acknowledged IS 'Sequence of the feed; the partner has all up to it';

-- A late or repeated acknowledgement takes nothing back.
CREATE FUNCTION refuse_cursor_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'inbox_cursor: % is before %', NEW.acknowledged, OLD.acknowledged
        USING ERRCODE = 'check_violation', CONSTRAINT = 'inbox_cursor_only_forward';
END $$;
CREATE TRIGGER inbox_cursor_only_forward BEFORE UPDATE ON inbox_cursor
    FOR EACH ROW WHEN (NEW.acknowledged < OLD.acknowledged)
    EXECUTE FUNCTION refuse_cursor_back();

-- What was said about a consultation that nobody answers: 1 reminds who is asked, 2 tells who asked.
CREATE TABLE consultation_notice (
    consultation_id uuid NOT NULL REFERENCES consultation (consultation_id),
    number          integer NOT NULL CHECK (number IN (1, 2)),
    at              timestamptz NOT NULL,
    PRIMARY KEY (consultation_id, number)
);
CREATE INDEX consultation_open ON consultation (answer_by) WHERE answered_at IS NULL;
