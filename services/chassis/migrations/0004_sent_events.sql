-- An event as it is sent to be written: one array of records costs the driver, which looks at each
-- element of an array, much less than one array for each column. Whoever needs another column makes
-- another type, because a running service uses this one.
CREATE TYPE sent_event AS (
    source_id   smallint,
    sequence    integer,
    id          uuid,
    type        text,
    topic       text,
    key         uuid,
    dataschema  text,
    dataref     text,
    traceparent text,
    data        bytea
);
