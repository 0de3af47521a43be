-- A number that a second event of its source has: that source was set back, as by an old backup.
ALTER TABLE source_progress ADD COLUMN reused integer NOT NULL DEFAULT 0 CHECK (reused >= 0);
COMMENT ON COLUMN source_progress.reused IS
    'Events whose sequence another event of the source had before; holes can no longer be told';
