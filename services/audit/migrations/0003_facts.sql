-- What figures count besides, so that an auditor recomputes all of them from the log alone.

ALTER TABLE trail ADD COLUMN facts text CHECK (length(facts) <= 1000);
COMMENT ON COLUMN trail.facts IS 'JSON with sorted keys: codes, numbers and ids; part of the leaf';
