-- +goose Up

-- What the guard knew of an action when it judged it (guard.Effect's JSON). No
-- action is executed without such a row.
CREATE TABLE guard_effects (
    action_id uuid PRIMARY KEY REFERENCES actions,
    effect    jsonb NOT NULL
);

-- What counts against the budgets: one row for each scope that an action counts in.
-- The action's state says whether it still does: one that ended without an effect
-- (refused, expired, failed, cancelled, rejected) gives its place back by itself.
CREATE TABLE guard_reservations (
    -- the order in which reservations were made; within a cluster they are made one after the other
    seq       bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    action_id uuid        NOT NULL REFERENCES actions,
    -- playbook, workload, namespace, node, cluster or target, and its name there
    scope     text        NOT NULL,
    cluster   text        NOT NULL,
    name      text        NOT NULL,
    -- what is counted once, however many actions are about it
    subject   text        NOT NULL,
    type      text        NOT NULL,
    kill      boolean     NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (action_id, scope)
);
CREATE INDEX guard_reservations_count ON guard_reservations (cluster, scope, name, at);

-- Kill switches that were turned over the API; each responder keeps a file too.
CREATE TABLE guard_switches (
    -- all, cluster or playbook; name is empty for all
    scope  text        NOT NULL CHECK (scope IN ('all', 'cluster', 'playbook')),
    name   text        NOT NULL,
    is_on  boolean     NOT NULL,
    -- one turn of the switch: a file of the same id is the same turn
    id     uuid        NOT NULL,
    reason text        NOT NULL,
    actor  text        NOT NULL,
    at     timestamptz NOT NULL,
    PRIMARY KEY (scope, name)
);

-- Modes that differ from what the playbook's METADATA says.
CREATE TABLE playbook_modes (
    playbook     text        PRIMARY KEY,
    -- empty: the METADATA's
    mode         text        NOT NULL CHECK (mode IN ('', 'observe', 'approve', 'enforce')),
    -- only what fits this is done, the rest is observed; both empty: everything
    namespaces   text[]      NOT NULL DEFAULT '{}',
    labels       jsonb       NOT NULL DEFAULT '{}',
    -- the rule that made the playbook step back to observe, empty for none
    stepped_back text        NOT NULL DEFAULT '',
    reason       text        NOT NULL DEFAULT '',
    actor        text        NOT NULL,
    at           timestamptz NOT NULL
);

-- A waiting action's question to people. It is open while the action is waiting.
CREATE TABLE approvals (
    action_id uuid        PRIMARY KEY REFERENCES actions,
    -- the guard's rules that asked, all of them: agreeing covers these and no others
    rules     text[]      NOT NULL,
    reason    text        NOT NULL,
    -- how many different people must agree
    needed    smallint    NOT NULL CHECK (needed > 0),
    asked_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE approval_votes (
    action_id uuid        NOT NULL REFERENCES approvals (action_id),
    actor     text        NOT NULL,
    agrees    boolean     NOT NULL,
    comment   text        NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (action_id, actor)
);

CREATE INDEX actions_playbook ON actions (playbook, planned_ns DESC);
CREATE INDEX actions_waiting ON actions (expires_ns) WHERE state = 'waiting';

-- +goose Down
DROP INDEX actions_waiting, actions_playbook;
DROP TABLE approval_votes, approvals, playbook_modes, guard_switches, guard_reservations, guard_effects;
