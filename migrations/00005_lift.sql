-- +goose Up

-- What an action found, left and gathered, how long its effect holds, and how it was
-- lifted.
ALTER TABLE actions
    -- how long the playbook wants the effect to hold; 0: until somebody lifts it
    ADD COLUMN ttl_ns        bigint      NOT NULL DEFAULT 0,
    -- action.Result's Before, After and Evidence: JSON as the action wrote it
    ADD COLUMN before_image  text        NOT NULL DEFAULT '',
    ADD COLUMN after_image   text        NOT NULL DEFAULT '',
    ADD COLUMN evidence      text        NOT NULL DEFAULT '',
    -- since when it waits for the evidence of its decision
    ADD COLUMN staged_ns     bigint,
    -- when it is to be lifted, when the lease on its node is to be renewed, when it was lifted
    ADD COLUMN lift_ns       bigint,
    ADD COLUMN renew_ns      bigint,
    ADD COLUMN lifted_ns     bigint,
    -- who wanted it lifted and why (empty: its time was over), and how that went
    ADD COLUMN lift_by       text        NOT NULL DEFAULT '',
    ADD COLUMN lift_reason   text        NOT NULL DEFAULT '',
    ADD COLUMN lift_note     text        NOT NULL DEFAULT '',
    ADD COLUMN lift_attempts integer     NOT NULL DEFAULT 0,
    -- who lifts it now, and until when nobody else may
    ADD COLUMN lift_holder   text        NOT NULL DEFAULT '',
    ADD COLUMN lift_until    timestamptz;
CREATE INDEX actions_lift ON actions (least(lift_ns, renew_ns)) WHERE lifted_ns IS NULL AND lift_ns IS NOT NULL;
CREATE INDEX actions_decision ON actions (decision_id);

-- A lifted effect is no longer there to be joined.
DROP INDEX actions_effect;
CREATE UNIQUE INDEX actions_effect ON actions (effect_key)
    WHERE state IN ('planned', 'waiting', 'executing', 'succeeded') AND lifted_ns IS NULL;

-- +goose Down
DROP INDEX actions_effect;
-- What was lifted and done again gives way.
UPDATE actions a SET effect_key = 'lifted/' || id WHERE lifted_ns IS NOT NULL AND EXISTS (SELECT FROM actions b
    WHERE b.effect_key = a.effect_key AND b.id <> a.id AND b.state IN ('planned', 'waiting', 'executing', 'succeeded'));
CREATE UNIQUE INDEX actions_effect ON actions (effect_key)
    WHERE state IN ('planned', 'waiting', 'executing', 'succeeded');
DROP INDEX actions_decision, actions_lift;
ALTER TABLE actions DROP COLUMN ttl_ns, DROP COLUMN before_image, DROP COLUMN after_image, DROP COLUMN evidence, DROP COLUMN staged_ns,
    DROP COLUMN lift_ns, DROP COLUMN renew_ns, DROP COLUMN lifted_ns, DROP COLUMN lift_by, DROP COLUMN lift_reason, DROP COLUMN lift_note,
    DROP COLUMN lift_attempts, DROP COLUMN lift_holder, DROP COLUMN lift_until;
