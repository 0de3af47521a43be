-- Days on which terms start to run, as the reporter knew them: [{"starts": ..., "day": ...}].
ALTER TABLE routed_case ADD COLUMN known_dates text NOT NULL DEFAULT '[]';

-- What else a decision needs to be made again, bit for bit.
ALTER TABLE decision
    -- The organisation that was named as a better party; NULL: none was.
    ADD COLUMN proposed text,
    -- Named by the holder, who refers the case onward, and not by who declined.
    ADD COLUMN onward boolean NOT NULL DEFAULT false;
