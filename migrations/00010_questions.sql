-- +goose Up

-- What people ask of the record, the newest entry first: each question that is not
-- about the whole record has an index that gives its answers in that order. An index
-- leaves out what is most of the record: walking audit_at soon finds that.
CREATE INDEX audit_kind ON audit (kind, at) WHERE kind NOT IN ('alert', 'decision');
CREATE INDEX audit_result ON audit (result, at) WHERE result NOT IN ('', 'stored', 'decided');
CREATE INDEX audit_actor ON audit (actor, at);
CREATE INDEX audit_target_kind ON audit (target_kind, at) WHERE target_kind IS NOT NULL;
CREATE INDEX audit_namespace ON audit (target_namespace, at) WHERE target_namespace IS NOT NULL;
CREATE INDEX audit_name ON audit (target_name, at) WHERE target_name IS NOT NULL;
DROP INDEX audit_target;
-- A revision as people see it: its first twelve digits.
CREATE INDEX audit_revision ON audit (left(revision, 12), at) WHERE revision IS NOT NULL;
-- An incident may have more entries than can be sorted for one page.
DROP INDEX audit_incident;
CREATE INDEX audit_incident ON audit (incident_id, at) WHERE incident_id IS NOT NULL;

-- The month of a UUIDv7, and some months more; of another id no bound. What an alert's
-- id says lets a look-up by id leave out most months.
-- +goose StatementBegin
CREATE FUNCTION record_id_month(id uuid, more integer) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN substr(id::text, 15, 1) <> '7' THEN CASE WHEN more < 0 THEN '-infinity'::date ELSE 'infinity'::date END
        ELSE (date_trunc('month', to_timestamp(('x0000' || left(replace(id::text, '-', ''), 12))::bit(64)::bigint / 1000.0) AT TIME ZONE 'UTC')
            + make_interval(months => more))::date END
$$;
-- +goose StatementEnd

-- How many entries there were of each day (UTC), counted as they are written: the
-- writers of a cluster hold its chain's head, so no two wait here. It is no part of
-- the proof, and it stays when months of the record go.
CREATE TABLE audit_counts (
    day       date   NOT NULL,
    cluster   text   NOT NULL,
    kind      text   NOT NULL,
    -- the target's namespace, the playbook, the action's type and the result; empty for none
    namespace text   NOT NULL,
    playbook  text   NOT NULL,
    action    text   NOT NULL,
    result    text   NOT NULL,
    entries   bigint NOT NULL,
    PRIMARY KEY (day, cluster, kind, namespace, playbook, action, result)
);

-- +goose StatementBegin
CREATE FUNCTION audit_count() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO audit_counts AS c (day, cluster, kind, namespace, playbook, action, result, entries)
        SELECT (at AT TIME ZONE 'UTC')::date, cluster, kind, coalesce(target_namespace, ''), coalesce(playbook, ''), coalesce(action_type, ''), result, count(*)
        FROM added GROUP BY 1, 2, 3, 4, 5, 6, 7
        ON CONFLICT (day, cluster, kind, namespace, playbook, action, result) DO UPDATE SET entries = c.entries + excluded.entries;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION audit_count() FROM PUBLIC;
INSERT INTO audit_counts
    SELECT (at AT TIME ZONE 'UTC')::date, cluster, kind, coalesce(target_namespace, ''), coalesce(playbook, ''), coalesce(action_type, ''), result, count(*)
    FROM audit GROUP BY 1, 2, 3, 4, 5, 6, 7;
CREATE TRIGGER audit_count AFTER INSERT ON audit REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION audit_count();

-- +goose Down
DROP TRIGGER audit_count ON audit;
DROP FUNCTION audit_count(), record_id_month(uuid, integer);
DROP TABLE audit_counts;
DROP INDEX audit_incident, audit_revision, audit_name, audit_namespace, audit_target_kind, audit_actor, audit_result, audit_kind;
CREATE INDEX audit_incident ON audit (incident_id) WHERE incident_id IS NOT NULL;
CREATE INDEX audit_target ON audit (target_namespace, target_name, at) WHERE target_name IS NOT NULL;
