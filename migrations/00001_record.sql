-- +goose Up

-- What came in, once: the primary key is what makes processing once, not the broker.
CREATE TABLE inbox (
    cluster     text        NOT NULL,
    node        text        NOT NULL,
    boot_id     uuid        NOT NULL,
    seq         bigint      NOT NULL CHECK (seq > 0),
    alert_id    uuid        NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (cluster, node, boot_id, seq)
);
-- for pruning: a row is needed for as long as the stream may deliver the message again
CREATE INDEX inbox_received ON inbox (received_at);

CREATE TABLE incidents (
    id         uuid        PRIMARY KEY,
    cluster    text        NOT NULL,
    -- what the alerts of one incident have in common, see package incident; 256 bytes at most
    key        text        NOT NULL,
    state      text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    title      text        NOT NULL,
    priority   smallint    NOT NULL,
    alerts     bigint      NOT NULL DEFAULT 1,
    -- by the responder's clock, because a node's may be wrong or lie
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL
);
CREATE UNIQUE INDEX incidents_open ON incidents (cluster, key) WHERE state = 'open';

CREATE TABLE alerts (
    id           uuid        PRIMARY KEY,
    incident_id  uuid        NOT NULL REFERENCES incidents,
    cluster      text        NOT NULL,
    node         text        NOT NULL,
    rule         text        NOT NULL,
    priority     smallint    NOT NULL,
    source       text        NOT NULL,
    output       text        NOT NULL,
    container_id text        NOT NULL DEFAULT '',
    namespace    text        NOT NULL DEFAULT '',
    pod          text        NOT NULL DEFAULT '',
    pod_uid      text        NOT NULL DEFAULT '',
    -- bound, unbound, forged or none (the alert names no pod)
    binding      text        NOT NULL,
    recorded     boolean     NOT NULL,
    -- when the system call returned, the agent made the alert, the responder had it
    kernel_ns    bigint      NOT NULL,
    alert_ns     bigint      NOT NULL,
    received_ns  bigint      NOT NULL,
    -- the message as it came
    body         text        NOT NULL
);
CREATE INDEX alerts_received ON alerts (received_ns DESC, id DESC);
CREATE INDEX alerts_container ON alerts (container_id) WHERE container_id <> '';
CREATE INDEX alerts_pod ON alerts (pod_uid) WHERE pod_uid <> '';

CREATE TABLE decisions (
    id         uuid     PRIMARY KEY,
    alert_id   uuid     NOT NULL REFERENCES alerts,
    playbook   text     NOT NULL,
    revision   text     NOT NULL,
    mode       text     NOT NULL,
    -- decided, or refused when the playbook's result had a wrong shape or did not come in time
    state      text     NOT NULL CHECK (state IN ('decided', 'refused')),
    reason     text     NOT NULL DEFAULT '',
    -- the exact input, so that the decision can be replayed
    input      text     NOT NULL,
    result     text     NOT NULL DEFAULT '',
    decided_ns bigint   NOT NULL
);
CREATE INDEX decisions_alert ON decisions (alert_id);

CREATE TABLE actions (
    id           uuid     PRIMARY KEY,
    decision_id  uuid     NOT NULL REFERENCES decisions,
    alert_id     uuid     NOT NULL REFERENCES alerts,
    cluster      text     NOT NULL,
    node         text     NOT NULL,
    type         text     NOT NULL,
    target       jsonb    NOT NULL,
    params       jsonb    NOT NULL DEFAULT '{}',
    -- the target's identity (action.Target.Identity), empty if it could not be told
    object       text     NOT NULL DEFAULT '',
    -- one effect on one object: a second decision about the same object joins the first,
    -- unless the first is over and nobody knows whether it had its effect
    effect_key   text     NOT NULL,
    playbook     text     NOT NULL,
    revision     text     NOT NULL,
    mode         text     NOT NULL,
    reason       text     NOT NULL,
    state        text     NOT NULL CHECK (state IN ('planned', 'waiting', 'executing', 'succeeded', 'failed', 'unknown',
                                                    'observed', 'refused', 'rejected', 'cancelled', 'expired')),
    -- for refused: the guard's rule; for every ended state: a sentence for a person
    refused_by   text     NOT NULL DEFAULT '',
    note         text     NOT NULL DEFAULT '',
    attempts     integer  NOT NULL DEFAULT 0,
    -- who executes it now, and until when nobody else may
    lease_holder text     NOT NULL DEFAULT '',
    lease_until  timestamptz,
    planned_ns   bigint   NOT NULL,
    expires_ns   bigint   NOT NULL,
    executing_ns bigint,
    executed_ns  bigint,
    verified_ns  bigint,
    audited_ns   bigint
);
CREATE UNIQUE INDEX actions_effect ON actions (effect_key)
    WHERE state IN ('planned', 'waiting', 'executing', 'succeeded');
CREATE INDEX actions_planned ON actions (planned_ns DESC, id DESC);
CREATE INDEX actions_alert ON actions (alert_id);
CREATE INDEX actions_object ON actions (object, planned_ns DESC) WHERE object <> '';
CREATE INDEX actions_running ON actions (lease_until) WHERE state IN ('planned', 'executing');

CREATE TABLE agents (
    cluster text        NOT NULL,
    node    text        NOT NULL,
    boot_id uuid        NOT NULL,
    body    text        NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (cluster, node)
);

-- One chain a cluster; the row is locked while entries are appended.
CREATE TABLE audit_heads (
    cluster text   PRIMARY KEY,
    seq     bigint NOT NULL,
    hash    bytea  NOT NULL
);

-- hash = SHA-256(domain tag, cluster, seq, prev, body); see package audit.
CREATE TABLE audit (
    cluster   text        NOT NULL,
    seq       bigint      NOT NULL,
    at        timestamptz NOT NULL,
    kind      text        NOT NULL,
    actor     text        NOT NULL,
    result    text        NOT NULL,
    alert_id  uuid,
    action_id uuid,
    -- the exact bytes that are hashed; the columns above are copies for searching
    body      bytea       NOT NULL,
    prev      bytea       NOT NULL,
    hash      bytea       NOT NULL,
    PRIMARY KEY (cluster, seq)
);
CREATE INDEX audit_action ON audit (action_id) WHERE action_id IS NOT NULL;
CREATE INDEX audit_alert ON audit (alert_id) WHERE alert_id IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit record is append-only: % is refused', TG_OP;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

-- +goose Down
DROP TABLE audit, audit_heads, agents, actions, decisions, alerts, incidents, inbox;
DROP FUNCTION audit_is_append_only();
