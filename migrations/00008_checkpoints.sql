-- +goose Up

-- What was signed about the chains, see package audit. The copies that count stand
-- outside of the database: the stream AUDIT, the responders' files.
CREATE TABLE audit_checkpoints (
    cluster   text   NOT NULL,
    seq       bigint NOT NULL,
    -- checkpoint, or anchor: what stands before the first entry that is kept
    kind      text   NOT NULL CHECK (kind IN ('checkpoint', 'anchor')),
    at_ns     bigint NOT NULL,
    hash      bytea  NOT NULL,
    -- SHA-256 of what the checkpoint before it signed, 32 zero bytes for the first
    prev      bytea  NOT NULL,
    -- the Ed25519 public key, and the one that follows it, if this checkpoint hands over
    key       bytea  NOT NULL,
    next_key  bytea,
    signature bytea  NOT NULL,
    PRIMARY KEY (cluster, seq, kind)
);
CREATE TRIGGER audit_checkpoints_no_change BEFORE UPDATE OR DELETE ON audit_checkpoints FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_checkpoints_no_truncate BEFORE TRUNCATE ON audit_checkpoints FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

-- Erases one sensitive value of one entry. The application's role may call it and can
-- change nothing else of the record.
-- +goose StatementBegin
CREATE FUNCTION audit_redact(of_cluster text, of_seq bigint, field text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    erased integer;
BEGIN
    IF field NOT IN ('note', 'reason', 'params') THEN
        RAISE EXCEPTION 'an entry has no field % that can be erased', field;
    END IF;
    EXECUTE format('UPDATE audit SET %1$I = NULL, %2$I = NULL WHERE cluster = $1 AND seq = $2 AND %2$I IS NOT NULL', field, field || '_salt')
        USING of_cluster, of_seq;
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased > 0;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION audit_redact(text, bigint, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION audit_redact(text, bigint, text);
DROP TABLE audit_checkpoints;
