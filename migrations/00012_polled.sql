-- +goose Up

-- The event stream looks for changes by itself, while somebody reads it. Transactions
-- that notify commit one after the other, each with its own sync of the disk: 500
-- kills at once waited for 2,000 of them.
DROP TRIGGER alerts_tell ON alerts;
DROP TRIGGER alerts_tell_update ON alerts;
DROP TRIGGER actions_tell ON actions;
DROP TRIGGER audit_tell ON audit;
DROP FUNCTION tell_change();

-- +goose Down
-- +goose StatementBegin
CREATE FUNCTION tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('riposte_change', '');
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER alerts_tell        AFTER INSERT ON alerts            FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
CREATE TRIGGER alerts_tell_update AFTER UPDATE ON alerts            FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
CREATE TRIGGER actions_tell       AFTER INSERT OR UPDATE ON actions FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
CREATE TRIGGER audit_tell         AFTER INSERT ON audit             FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
