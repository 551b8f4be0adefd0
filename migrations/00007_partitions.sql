-- +goose Up

-- The big tables are kept by month, so that what is over goes at once, as a table,
-- and no index is larger than a month's. A month is the first day of one, in UTC:
--   alerts, decisions  of the alert's id, a UUIDv7, so of the alert's own time; the ingest
--                      gives another id to what cannot be true (store.RecordID)
--   audit              of written_ns, by the database's clock
-- actions stays one table: no unique index spans partitions, and actions_effect is
-- what makes an effect single. What names a row of a partitioned table is no foreign
-- key any more: an action outlives its alert's month, and one transaction writes an
-- alert, its incident, its decisions and its actions anyway.

-- Months of audit that are no longer part of the record, until the owner drops them
-- (riposte migrate --drop-retired).
CREATE SCHEMA riposte_retired;

-- Makes one month of a table. A table that is made first and attached then locks
-- nobody out, while CREATE TABLE … PARTITION OF would wait for every reader.
-- +goose StatementBegin
CREATE FUNCTION record_month(parent text, month date) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    name text := parent || to_char(month, '_YYYY_MM');
BEGIN
    IF to_regclass(quote_ident(name)) IS NOT NULL OR to_regclass('riposte_retired.' || quote_ident(name)) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', name, parent);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, name, month, (month + interval '1 month')::date);
    IF parent = 'audit' THEN
        EXECUTE format('CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()', name);
    END IF;
END
$$;
-- +goose StatementEnd

-- Makes the months that can be written to now, and some ahead. The application may
-- call it (its role makes no tables itself).
-- +goose StatementBegin
CREATE FUNCTION record_ahead() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    this date := date_trunc('month', now() AT TIME ZONE 'UTC');
    parent text;
    ahead integer;
BEGIN
    PERFORM pg_advisory_xact_lock(7221030442611904); -- responders that start together
    FOREACH parent IN ARRAY ARRAY['alerts', 'decisions', 'audit'] LOOP
        FOR ahead IN -1 .. 3 LOOP
            PERFORM record_month(parent, (this + make_interval(months => ahead))::date);
        END LOOP;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Takes whole months before a day out of a table, and says which. Months of alerts
-- and decisions are dropped, those of audit are put aside. The floors hold whoever
-- calls: what the stream may still deliver, and a month of the record.
-- +goose StatementBegin
CREATE FUNCTION record_retire(parent text, before date) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '3s' AS $$
DECLARE
    floor integer := CASE parent WHEN 'alerts' THEN 8 WHEN 'decisions' THEN 8 WHEN 'audit' THEN 31 END;
    name text;
BEGIN
    IF floor IS NULL THEN
        RAISE EXCEPTION 'the table % has no months', parent;
    END IF;
    IF before > now()::date - floor THEN
        RAISE EXCEPTION '% of the last % days are kept', parent, floor;
    END IF;
    FOR name IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        -- CASE, because the planner may ask for the date of every relation before it joins.
        WHERE i.inhparent = to_regclass(quote_ident(parent))
            AND CASE WHEN c.relname ~ '_[0-9]{4}_[0-9]{2}$' THEN to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= before ELSE false END
        ORDER BY 1
    LOOP
        EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, name);
        IF parent = 'audit' THEN
            EXECUTE format('ALTER TABLE %I SET SCHEMA riposte_retired', name);
        ELSE
            EXECUTE format('DROP TABLE %I', name);
        END IF;
        RETURN NEXT name;
    END LOOP;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION record_month(text, date), record_ahead(), record_retire(text, date) FROM PUBLIC;

-- Alerts. Equal alerts of one incident are one row a month.
ALTER TABLE actions DROP CONSTRAINT actions_alert_id_fkey, DROP CONSTRAINT actions_decision_id_fkey;
ALTER TABLE decisions DROP CONSTRAINT decisions_alert_id_fkey;
ALTER TABLE alerts RENAME TO alerts_whole;
CREATE TABLE alerts (LIKE alerts_whole INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    month date NOT NULL DEFAULT date_trunc('month', now() AT TIME ZONE 'UTC')::date
) PARTITION BY RANGE (month);

ALTER TABLE decisions RENAME TO decisions_whole;
CREATE TABLE decisions (LIKE decisions_whole INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    -- the alert's
    month date NOT NULL DEFAULT date_trunc('month', now() AT TIME ZONE 'UTC')::date
) PARTITION BY RANGE (month);

-- The record. The columns beside body, prev and hash are copies of what the body
-- says, NULL where it says nothing, there to be searched. note, reason and params
-- are not in the body: their salted digests are, so that they can be erased.
ALTER TABLE audit RENAME TO audit_whole;
CREATE TABLE audit (
    cluster          text        NOT NULL,
    seq              bigint      NOT NULL,
    month            date        NOT NULL,
    at               timestamptz NOT NULL,
    kind             text        NOT NULL,
    actor            text        NOT NULL,
    result           text        NOT NULL,
    alert_id         uuid,
    incident_id      uuid,
    action_id        uuid,
    action_type      text,
    playbook         text,
    revision         text,
    rule             text,
    node             text,
    target_kind      text,
    target_namespace text,
    target_name      text,
    target_uid       text,
    -- the target's labels at that time
    labels           jsonb,
    note             text,
    note_salt        bytea,
    reason           text,
    reason_salt      bytea,
    params           text,
    params_salt      bytea,
    body             bytea       NOT NULL,
    prev             bytea       NOT NULL,
    hash             bytea       NOT NULL,
    change           xid8        NOT NULL DEFAULT pg_current_xact_id(),
    -- what people search in; it goes when the text is erased
    words            tsvector    GENERATED ALWAYS AS (to_tsvector('simple'::regconfig,
        CASE WHEN note IS NOT NULL OR reason IS NOT NULL THEN coalesce(note, '') || ' ' || coalesce(reason, '') END)) STORED
) PARTITION BY RANGE (month);

-- The months that there are rows of, and those to come.
-- +goose StatementBegin
DO $$
DECLARE
    m date;
BEGIN
    FOR m IN SELECT DISTINCT date_trunc('month', to_timestamp(received_ns / 1e9) AT TIME ZONE 'UTC')::date FROM alerts_whole LOOP
        PERFORM record_month('alerts', m), record_month('decisions', m);
    END LOOP;
    FOR m IN SELECT DISTINCT date_trunc('month', least(at, now()) AT TIME ZONE 'UTC')::date FROM audit_whole LOOP
        PERFORM record_month('audit', m);
    END LOOP;
    PERFORM record_ahead();
END
$$;
-- +goose StatementEnd

INSERT INTO alerts SELECT *, date_trunc('month', to_timestamp(received_ns / 1e9) AT TIME ZONE 'UTC')::date FROM alerts_whole;
INSERT INTO decisions SELECT d.*, date_trunc('month', to_timestamp(a.received_ns / 1e9) AT TIME ZONE 'UTC')::date
    FROM decisions_whole d JOIN alerts_whole a ON a.id = d.alert_id;
-- A chain's months never go back, so that a month that goes takes its beginning.
INSERT INTO audit (cluster, seq, month, at, kind, actor, result, alert_id, action_id, body, prev, hash, change)
    SELECT cluster, seq, date_trunc('month', max(least(at, now())) OVER (PARTITION BY cluster ORDER BY seq) AT TIME ZONE 'UTC')::date,
        at, kind, actor, result, alert_id, action_id, body, prev, hash, change FROM audit_whole;
DROP TABLE decisions_whole, alerts_whole, audit_whole;

ALTER TABLE alerts ADD PRIMARY KEY (id, month);
CREATE UNIQUE INDEX alerts_equal ON alerts (incident_id, fingerprint, month);
CREATE INDEX alerts_incident ON alerts (incident_id, received_ns);
CREATE INDEX alerts_received ON alerts (received_ns DESC, id DESC);
CREATE INDEX alerts_container ON alerts (container_id) WHERE container_id <> '';
CREATE INDEX alerts_pod ON alerts (pod_uid) WHERE pod_uid <> '';
CREATE INDEX alerts_change ON alerts (change);
CREATE INDEX alerts_short_id ON alerts (right(id::text, 12));
CREATE TRIGGER alerts_tell AFTER INSERT ON alerts FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
CREATE TRIGGER alerts_tell_update AFTER UPDATE ON alerts FOR EACH STATEMENT EXECUTE FUNCTION tell_change();

ALTER TABLE decisions ADD PRIMARY KEY (id, month);
CREATE UNIQUE INDEX decisions_equal ON decisions (alert_id, digest, month);

ALTER TABLE audit ADD PRIMARY KEY (cluster, seq, month);
-- The newest first, of all clusters; and long spans, for next to nothing.
CREATE INDEX audit_at ON audit (at, cluster, seq);
CREATE INDEX audit_span ON audit USING brin (at);
CREATE INDEX audit_change ON audit (change);
CREATE INDEX audit_alert ON audit (alert_id) WHERE alert_id IS NOT NULL;
CREATE INDEX audit_incident ON audit (incident_id) WHERE incident_id IS NOT NULL;
-- What few entries have: an index costs nothing where it has no entry.
CREATE INDEX audit_action ON audit (action_id) WHERE action_id IS NOT NULL;
CREATE INDEX audit_type ON audit (action_type, at) WHERE action_type IS NOT NULL;
CREATE INDEX audit_playbook ON audit (playbook, at) WHERE playbook IS NOT NULL;
CREATE INDEX audit_target ON audit (target_namespace, target_name, at) WHERE target_name IS NOT NULL;
CREATE INDEX audit_uid ON audit (target_uid, at) WHERE target_uid IS NOT NULL;
CREATE INDEX audit_labels ON audit USING gin (labels jsonb_path_ops) WHERE labels IS NOT NULL;
CREATE INDEX audit_words ON audit USING gin (words) WHERE words IS NOT NULL;
CREATE TRIGGER audit_tell AFTER INSERT ON audit FOR EACH STATEMENT EXECUTE FUNCTION tell_change();

-- The one change that is let through takes away what the body only has a digest of.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    erased record;
BEGIN
    IF TG_OP = 'UPDATE' AND TG_NARGS > 0 THEN
        erased := OLD;
        IF NEW.note IS NULL AND NEW.note_salt IS NULL THEN erased.note := NULL; erased.note_salt := NULL; END IF;
        IF NEW.reason IS NULL AND NEW.reason_salt IS NULL THEN erased.reason := NULL; erased.reason_salt := NULL; END IF;
        IF NEW.params IS NULL AND NEW.params_salt IS NULL THEN erased.params := NULL; erased.params_salt := NULL; END IF;
        erased.words := NEW.words; -- computed from the others
        IF NEW IS NOT DISTINCT FROM erased THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit record is append-only: % is refused', TG_OP;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_append_only('but for erasing');
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

-- When a chain's last entry was written: the next one is not earlier.
ALTER TABLE audit_heads ADD COLUMN written_ns bigint NOT NULL DEFAULT 0;
UPDATE audit_heads h SET written_ns = coalesce((SELECT extract(epoch FROM max(a.month))::bigint * 1000000000 FROM audit a WHERE a.cluster = h.cluster), 0);

-- +goose Down
ALTER TABLE audit_heads DROP COLUMN written_ns;
ALTER TABLE audit RENAME TO audit_months;
CREATE TABLE audit (LIKE audit_months INCLUDING DEFAULTS);
ALTER TABLE audit DROP COLUMN month, DROP COLUMN incident_id, DROP COLUMN action_type, DROP COLUMN playbook, DROP COLUMN revision, DROP COLUMN rule,
    DROP COLUMN node, DROP COLUMN target_kind, DROP COLUMN target_namespace, DROP COLUMN target_name, DROP COLUMN target_uid, DROP COLUMN labels,
    DROP COLUMN note, DROP COLUMN note_salt, DROP COLUMN reason, DROP COLUMN reason_salt, DROP COLUMN params, DROP COLUMN params_salt, DROP COLUMN words;
INSERT INTO audit (cluster, seq, at, kind, actor, result, alert_id, action_id, body, prev, hash, change)
    SELECT cluster, seq, at, kind, actor, result, alert_id, action_id, body, prev, hash, change FROM audit_months;
DROP TABLE audit_months;
ALTER TABLE audit ADD PRIMARY KEY (cluster, seq);
CREATE INDEX audit_action ON audit (action_id) WHERE action_id IS NOT NULL;
CREATE INDEX audit_alert ON audit (alert_id) WHERE alert_id IS NOT NULL;
CREATE INDEX audit_change ON audit (change);
CREATE INDEX audit_at ON audit (at, cluster, seq);
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit record is append-only: % is refused', TG_OP;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_tell AFTER INSERT ON audit FOR EACH STATEMENT EXECUTE FUNCTION tell_change();

ALTER TABLE decisions RENAME TO decisions_months;
CREATE TABLE decisions (LIKE decisions_months INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
INSERT INTO decisions SELECT * FROM decisions_months;
DROP TABLE decisions_months;
ALTER TABLE decisions DROP COLUMN month;
ALTER TABLE decisions ADD PRIMARY KEY (id);
CREATE UNIQUE INDEX decisions_equal ON decisions (alert_id, digest);

ALTER TABLE alerts RENAME TO alerts_months;
CREATE TABLE alerts (LIKE alerts_months INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
INSERT INTO alerts SELECT * FROM alerts_months;
DROP TABLE alerts_months;
ALTER TABLE alerts DROP COLUMN month;
ALTER TABLE alerts ADD PRIMARY KEY (id);
-- Equal ones of two months stay two rows, the first of which takes what comes.
UPDATE alerts SET fingerprint = NULL WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY incident_id, fingerprint ORDER BY received_ns, id) AS n
    FROM alerts WHERE fingerprint IS NOT NULL) AS a WHERE n > 1);
CREATE UNIQUE INDEX alerts_equal ON alerts (incident_id, fingerprint);
CREATE INDEX alerts_received ON alerts (received_ns DESC, id DESC);
CREATE INDEX alerts_container ON alerts (container_id) WHERE container_id <> '';
CREATE INDEX alerts_pod ON alerts (pod_uid) WHERE pod_uid <> '';
CREATE INDEX alerts_change ON alerts (change);
CREATE INDEX alerts_short_id ON alerts (right(id::text, 12));
CREATE INDEX alerts_incident ON alerts (incident_id, received_ns);
CREATE TRIGGER alerts_stamp BEFORE UPDATE ON alerts FOR EACH ROW EXECUTE FUNCTION stamp_change();
CREATE TRIGGER alerts_tell AFTER INSERT ON alerts FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
CREATE TRIGGER alerts_tell_update AFTER UPDATE ON alerts FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
-- What was retired is missing: the keys hold for what comes.
ALTER TABLE alerts ADD CONSTRAINT alerts_incident_id_fkey FOREIGN KEY (incident_id) REFERENCES incidents NOT VALID;
ALTER TABLE decisions ADD CONSTRAINT decisions_alert_id_fkey FOREIGN KEY (alert_id) REFERENCES alerts NOT VALID;
ALTER TABLE actions ADD CONSTRAINT actions_alert_id_fkey FOREIGN KEY (alert_id) REFERENCES alerts NOT VALID,
    ADD CONSTRAINT actions_decision_id_fkey FOREIGN KEY (decision_id) REFERENCES decisions NOT VALID;

DROP FUNCTION record_retire(text, date), record_ahead(), record_month(text, date);
DROP SCHEMA riposte_retired CASCADE;
