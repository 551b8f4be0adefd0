-- +goose Up

-- Which transaction wrote a row last. A reader that keeps its snapshot finds what
-- is new by "NOT pg_visible_in_snapshot(change, snapshot)", exactly: nothing is
-- missed because it committed late, and nothing comes twice.
ALTER TABLE alerts  ADD COLUMN change xid8 NOT NULL DEFAULT pg_current_xact_id();
ALTER TABLE actions ADD COLUMN change xid8 NOT NULL DEFAULT pg_current_xact_id();
ALTER TABLE audit   ADD COLUMN change xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX alerts_change  ON alerts  (change);
CREATE INDEX actions_change ON actions (change);
CREATE INDEX audit_change   ON audit   (change);

-- +goose StatementBegin
CREATE FUNCTION stamp_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.change := pg_current_xact_id();
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER actions_stamp BEFORE UPDATE ON actions FOR EACH ROW EXECUTE FUNCTION stamp_change();

-- The notification says only "look": equal notifications of one transaction are
-- folded into one, so a batch of a thousand alerts costs one, and none is too long.
-- +goose StatementBegin
CREATE FUNCTION tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('riposte_change', '');
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER alerts_tell  AFTER INSERT ON alerts            FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
CREATE TRIGGER actions_tell AFTER INSERT OR UPDATE ON actions FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
CREATE TRIGGER audit_tell   AFTER INSERT ON audit             FOR EACH STATEMENT EXECUTE FUNCTION tell_change();

-- For lists: the newest entries of all chains, and ids given by their last group.
CREATE INDEX audit_at ON audit (at, cluster, seq);
CREATE INDEX alerts_short_id  ON alerts  (right(id::text, 12));
CREATE INDEX actions_short_id ON actions (right(id::text, 12));

-- +goose Down
DROP INDEX actions_short_id, alerts_short_id, audit_at;
DROP TRIGGER audit_tell ON audit;
DROP TRIGGER actions_tell ON actions;
DROP TRIGGER alerts_tell ON alerts;
DROP TRIGGER actions_stamp ON actions;
DROP FUNCTION tell_change(), stamp_change();
ALTER TABLE audit   DROP COLUMN change;
ALTER TABLE actions DROP COLUMN change;
ALTER TABLE alerts  DROP COLUMN change;
