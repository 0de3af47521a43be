-- Links in notices by e-mail: who has one may answer one referral for one organisation.

CREATE TABLE portal_link (
    digest       bytea PRIMARY KEY CHECK (length(digest) = 32),
    organisation text NOT NULL REFERENCES partner (organisation),
    referral_id  uuid NOT NULL REFERENCES referral (referral_id),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    CONSTRAINT link_ends_later CHECK (expires_at > created_at)
);
COMMENT ON COLUMN portal_link.digest IS 'SHA-256 of the token; the token itself is kept nowhere';
CREATE INDEX portal_link_expiry ON portal_link (expires_at);
CREATE INDEX portal_link_of_organisation ON portal_link (organisation);
