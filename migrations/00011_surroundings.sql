-- +goose Up

-- Both are read for every batch of alerts, so neither may cost more the longer an
-- incident lasts.

-- The incident that an action is about; it outlives the alert's row.
ALTER TABLE actions ADD COLUMN incident_id uuid;
UPDATE actions SET incident_id = l.incident_id FROM alerts l WHERE l.id = actions.alert_id;
CREATE INDEX actions_incident ON actions (incident_id, planned_ns DESC, id DESC) WHERE incident_id IS NOT NULL;

-- Which incidents a node's own alerts are part of, of late: see playbook.Neighbour.
CREATE TABLE incident_nodes (
    cluster     text        NOT NULL,
    node        text        NOT NULL,
    incident_id uuid        NOT NULL REFERENCES incidents ON DELETE CASCADE,
    -- of the most severe of these alerts
    priority    smallint    NOT NULL,
    last_at     timestamptz NOT NULL,
    PRIMARY KEY (cluster, node, incident_id)
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE incident_nodes;
ALTER TABLE actions DROP COLUMN incident_id;
