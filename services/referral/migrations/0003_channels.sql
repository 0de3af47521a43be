-- Channels that push: where partners want to be told, and what is known of each delivery.

ALTER TABLE partner DROP CONSTRAINT partner_channel_check;
ALTER TABLE partner ADD CONSTRAINT partner_channel_check
    CHECK (channel IN ('kafka', 'inbox', 'webhook', 'email', 'desk'));
-- Taken when the channel fails or is too slow. A partner can always poll its inbox besides.
ALTER TABLE partner ADD COLUMN fallback text
    CONSTRAINT partner_fallback_check CHECK (fallback IN ('webhook', 'email', 'desk'));
ALTER TABLE partner ADD CONSTRAINT partner_fallback_differs CHECK (fallback <> channel);

CREATE TABLE endpoint (
    organisation text PRIMARY KEY REFERENCES partner (organisation),
    url          text CHECK (length(url) <= 2048),
    email        text CHECK (length(email) <= 254),
    sealed_keys  bytea,
    taken        integer NOT NULL CHECK (taken >= 0),
    changed_at   timestamptz NOT NULL,
    CONSTRAINT endpoint_has_address CHECK (num_nonnulls(url, email) >= 1),
    CONSTRAINT webhook_is_signed CHECK ((url IS NULL) = (sealed_keys IS NULL))
);
COMMENT ON COLUMN endpoint.taken IS 'Last sequence of the partner''s feed that became deliveries';
COMMENT ON COLUMN endpoint.sealed_keys IS 'Signing keys under the sealing key of the settings';

-- One row per partner and channel: its lock lets one instance at a time claim for it.
CREATE TABLE delivery_lane (
    organisation text NOT NULL REFERENCES endpoint (organisation),
    channel      text NOT NULL CHECK (channel IN ('webhook', 'email')),
    state        text NOT NULL CHECK (state IN ('delivered', 'retrying', 'failed')),
    since        timestamptz NOT NULL,
    enabled      boolean NOT NULL,
    failures     integer NOT NULL CHECK (failures >= 0),
    paused_until timestamptz,
    problem      text,
    PRIMARY KEY (organisation, channel),
    CONSTRAINT switched_off_has_failed CHECK (enabled OR state = 'failed')
);

-- The truth per recipient and event.
CREATE TABLE delivery (
    organisation text NOT NULL,
    channel      text NOT NULL,
    source_id    smallint NOT NULL,
    sequence     integer NOT NULL,
    case_id      uuid NOT NULL,
    urgent       boolean NOT NULL,
    state        text NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed')),
    attempts     integer NOT NULL CHECK (attempts >= 0),
    queued_at    timestamptz NOT NULL,
    next_try_at  timestamptz NOT NULL,
    leased_until timestamptz,
    escalate_at  timestamptz,
    escalated_at timestamptz,
    last_problem text,
    delivered_at timestamptz,
    PRIMARY KEY (organisation, channel, sequence),
    FOREIGN KEY (organisation, channel) REFERENCES delivery_lane (organisation, channel),
    FOREIGN KEY (source_id, sequence) REFERENCES event (source_id, sequence),
    CONSTRAINT delivered_has_time CHECK ((state = 'delivered') = (delivered_at IS NOT NULL)),
    CONSTRAINT failed_has_problem CHECK (state <> 'failed' OR last_problem IS NOT NULL),
    CONSTRAINT only_waiting_is_leased CHECK (state = 'waiting' OR leased_until IS NULL)
) WITH (fillfactor = 80);
COMMENT ON COLUMN delivery.escalate_at IS 'When the next channel, or a person, is called in';
CREATE INDEX delivery_order ON delivery (organisation, channel, urgent DESC, sequence)
    WHERE state = 'waiting';
CREATE INDEX delivery_of_case ON delivery (organisation, channel, case_id, sequence)
    WHERE state = 'waiting';
CREATE INDEX delivery_due ON delivery (organisation, channel, next_try_at)
    WHERE state = 'waiting';
CREATE INDEX delivery_leased ON delivery (organisation, channel, leased_until)
    WHERE leased_until IS NOT NULL;
CREATE INDEX delivery_queued ON delivery (queued_at) WHERE state = 'waiting';
CREATE INDEX delivery_escalation ON delivery (escalate_at)
    WHERE escalated_at IS NULL AND escalate_at IS NOT NULL AND state <> 'delivered';
CREATE INDEX delivery_failed ON delivery (organisation, sequence) WHERE state = 'failed';

-- What the desk must do by hand because a partner cannot be reached.
CREATE TABLE delivery_task (
    task_id      uuid PRIMARY KEY,
    organisation text NOT NULL REFERENCES partner (organisation),
    channel      text NOT NULL,
    problem      text NOT NULL,
    opened_at    timestamptz NOT NULL,
    closed_at    timestamptz,
    closed_by    text,
    CONSTRAINT closed_by_somebody CHECK ((closed_at IS NULL) = (closed_by IS NULL))
);
CREATE UNIQUE INDEX delivery_task_open ON delivery_task (organisation, channel)
    WHERE closed_at IS NULL;
