-- +goose Up

-- The labels of the pod that an alert names, as the API server knew it then, or
-- else as the alert says; of an action its alert's, of an incident those of the alert that
-- opened it. Alerts and incidents of before have none.
ALTER TABLE alerts    ADD COLUMN labels jsonb;
ALTER TABLE actions   ADD COLUMN labels jsonb;
ALTER TABLE incidents ADD COLUMN labels jsonb;
UPDATE actions SET labels = (SELECT labels FROM audit WHERE action_id = actions.id AND labels IS NOT NULL LIMIT 1);
CREATE INDEX alerts_labels    ON alerts    USING gin (labels jsonb_path_ops) WHERE labels IS NOT NULL;
CREATE INDEX actions_labels   ON actions   USING gin (labels jsonb_path_ops) WHERE labels IS NOT NULL;
CREATE INDEX incidents_labels ON incidents USING gin (labels jsonb_path_ops) WHERE labels IS NOT NULL;

-- +goose Down
ALTER TABLE incidents DROP COLUMN labels;
ALTER TABLE actions   DROP COLUMN labels;
ALTER TABLE alerts    DROP COLUMN labels;
