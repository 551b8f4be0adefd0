-- +goose Up

-- Incidents: whether alerts may still join one (the attack window) is one thing,
-- what people say about it another.
DROP INDEX incidents_open;
ALTER TABLE incidents DROP CONSTRAINT incidents_state_check;
ALTER TABLE incidents
    -- alerts; or what the responder itself found: gap (alerts are missing), silence (an agent says nothing)
    ADD COLUMN kind         text        NOT NULL DEFAULT 'alerts' CHECK (kind IN ('alerts', 'gap', 'silence')),
    ADD COLUMN joinable     boolean     NOT NULL DEFAULT true,
    -- since when it is contained; an attack that is later opens it again
    ADD COLUMN contained_at timestamptz;
UPDATE incidents SET state = 'resolved', joinable = false WHERE state = 'closed';
ALTER TABLE incidents ADD CONSTRAINT incidents_state_check CHECK (state IN ('open', 'contained', 'resolved', 'false_positive'));
CREATE UNIQUE INDEX incidents_joinable ON incidents (cluster, key) WHERE joinable;
CREATE INDEX incidents_last ON incidents (last_at DESC, id DESC);
CREATE INDEX incidents_idle ON incidents (last_at) WHERE joinable;
CREATE INDEX incidents_short_id ON incidents (right(id::text, 12));
CREATE INDEX alerts_incident ON alerts (incident_id, received_ns);
CREATE INDEX actions_verified ON actions (verified_ns) WHERE verified_ns IS NOT NULL;

-- Every state that an incident had, who changed it and why; from_state is empty for its beginning.
CREATE TABLE incident_history (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id uuid        NOT NULL REFERENCES incidents,
    at          timestamptz NOT NULL,
    from_state  text        NOT NULL,
    to_state    text        NOT NULL,
    actor       text        NOT NULL,
    reason      text        NOT NULL
);
CREATE INDEX incident_history_incident ON incident_history (incident_id, id);

-- Equal alerts of one incident are one row with a count, see incident.Fingerprint.
-- received_ns is the first one's receipt, last_ns the last one's (0: there was one).
ALTER TABLE alerts
    ADD COLUMN fingerprint bytea,
    ADD COLUMN count       bigint NOT NULL DEFAULT 1,
    ADD COLUMN last_ns     bigint NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX alerts_equal ON alerts (incident_id, fingerprint);
CREATE TRIGGER alerts_stamp BEFORE UPDATE ON alerts FOR EACH ROW EXECUTE FUNCTION stamp_change();
CREATE TRIGGER alerts_tell_update AFTER UPDATE ON alerts FOR EACH STATEMENT EXECUTE FUNCTION tell_change();

-- The same answer to equal alerts is one decision with a count. It keeps the first one's input.
ALTER TABLE decisions
    ADD COLUMN digest bytea,
    ADD COLUMN count  bigint NOT NULL DEFAULT 1;
CREATE UNIQUE INDEX decisions_equal ON decisions (alert_id, digest);
DROP INDEX decisions_alert;

-- Messages that could not be processed, as they came.
CREATE TABLE dead_letters (
    -- made of subject, message id and body: the same message is one row
    id          uuid        PRIMARY KEY,
    state       text        NOT NULL DEFAULT 'dead' CHECK (state IN ('dead', 'redriven')),
    subject     text        NOT NULL,
    message_id  text        NOT NULL,
    -- whose subject it came on, empty if that cannot be read
    cluster     text        NOT NULL,
    node        text        NOT NULL,
    reason      text        NOT NULL,
    error       text        NOT NULL,
    -- how often it died
    deaths      bigint      NOT NULL DEFAULT 1,
    body        bytea       NOT NULL,
    received_at timestamptz NOT NULL,
    died_at     timestamptz NOT NULL
);
CREATE INDEX dead_letters_died ON dead_letters (died_at DESC, id DESC);
CREATE INDEX dead_letters_node ON dead_letters (cluster, node);
CREATE INDEX dead_letters_short_id ON dead_letters (right(id::text, 12));

-- What agents say that they had to drop: numbers that nobody has to wait for.
CREATE TABLE losses (
    cluster      text        NOT NULL,
    node         text        NOT NULL,
    boot_id      uuid        NOT NULL,
    first        bigint      NOT NULL,
    last         bigint      NOT NULL CHECK (last >= first),
    -- how many alerts of the range were lost; the others came or will come
    count        bigint      NOT NULL,
    reason       text        NOT NULL,
    announced_at timestamptz NOT NULL,
    PRIMARY KEY (cluster, node, boot_id, first, last)
);

-- One row for each run of an agent's process: how far its numbers are complete.
CREATE TABLE agent_runs (
    cluster      text        NOT NULL,
    node         text        NOT NULL,
    boot_id      uuid        NOT NULL,
    -- all numbers up to this one have come or are announced as lost
    complete     bigint      NOT NULL DEFAULT 0,
    -- the highest number that the agent spoke of
    highest      bigint      NOT NULL DEFAULT 0,
    seen_at      timestamptz NOT NULL,
    -- since when the number after complete is missing, and the stream's last message at that time
    gap_since    timestamptz,
    gap_mark     bigint      NOT NULL DEFAULT 0,
    gap_incident uuid        REFERENCES incidents,
    PRIMARY KEY (cluster, node, boot_id)
);
CREATE INDEX agent_runs_seen ON agent_runs (seen_at);
INSERT INTO agent_runs (cluster, node, boot_id, complete, highest, seen_at)
    SELECT cluster, node, boot_id, max(seq), max(seq), max(received_at) FROM inbox GROUP BY cluster, node, boot_id;

ALTER TABLE agents
    -- the incident about its silence, until it speaks again
    ADD COLUMN silent_incident uuid REFERENCES incidents;

-- +goose Down
ALTER TABLE agents DROP COLUMN silent_incident;
DROP TABLE agent_runs, losses, dead_letters, incident_history;
CREATE INDEX decisions_alert ON decisions (alert_id);
ALTER TABLE decisions DROP COLUMN digest, DROP COLUMN count;
DROP TRIGGER alerts_tell_update ON alerts;
DROP TRIGGER alerts_stamp ON alerts;
ALTER TABLE alerts DROP COLUMN fingerprint, DROP COLUMN count, DROP COLUMN last_ns;
DROP INDEX actions_verified, alerts_incident, incidents_short_id, incidents_idle, incidents_last, incidents_joinable;
ALTER TABLE incidents DROP CONSTRAINT incidents_state_check;
UPDATE incidents SET state = CASE WHEN joinable AND state IN ('open', 'contained') THEN 'open' ELSE 'closed' END;
ALTER TABLE incidents ADD CONSTRAINT incidents_state_check CHECK (state IN ('open', 'closed'));
CREATE UNIQUE INDEX incidents_open ON incidents (cluster, key) WHERE state = 'open';
ALTER TABLE incidents DROP COLUMN kind, DROP COLUMN joinable, DROP COLUMN contained_at;
