-- From when a register version decides; rows are only added. At a moment the version with the
-- latest `valid_from` before it decides; of equal ones the one that was activated last.
CREATE TABLE register_activation (
    number        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    register_hash text NOT NULL REFERENCES register_version (sha256),
    valid_from    timestamptz NOT NULL,
    activated_at  timestamptz NOT NULL,
    activated_by  text NOT NULL,
    -- What was decided stays decided: nothing is activated for the past.
    CHECK (valid_from >= activated_at)
);
CREATE INDEX register_activation_at ON register_activation (valid_from DESC, number DESC);

-- An organisation, or one of its lokets, that takes no cases for a while. `ended_at` is the moment
-- at which somebody ended it before its time.
CREATE TABLE closure (
    id          uuid PRIMARY KEY,
    party       text NOT NULL,
    reason      text NOT NULL,
    valid_from  timestamptz NOT NULL,
    valid_until timestamptz NOT NULL CHECK (valid_until > valid_from),
    noted_at    timestamptz NOT NULL,
    noted_by    text NOT NULL,
    ended_at    timestamptz
);
CREATE INDEX closure_until ON closure (valid_until);

-- Who was excluded once stays so for the case: a new decision never leads back there.
ALTER TABLE routed_case ADD COLUMN excluded text NOT NULL DEFAULT '[]';

-- What a decision needs to be made again, bit for bit.
ALTER TABLE decision
    -- The code that decided; NULL: before it was noted.
    ADD COLUMN engine text,
    -- Those of `excluded` that were closed at that moment.
    ADD COLUMN closed text NOT NULL DEFAULT '[]',
    -- The facts that it was made on; NULL: those of the report, which never change.
    ADD COLUMN situation text;
COMMENT ON COLUMN decision.excluded IS 'everybody who was left out, the closed ones too';
