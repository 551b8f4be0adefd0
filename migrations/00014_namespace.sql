-- +goose Up

-- Whose readers may see an action and an entry of the record: the alert's namespace, if
-- what is acted on is there too (a container and a process are where their alert is);
-- empty for who may see every namespace. It is on the row, so that a list for some
-- namespaces need not look at the alert of every row.
ALTER TABLE actions ADD COLUMN namespace text NOT NULL DEFAULT '';
UPDATE actions c SET namespace = a.namespace FROM alerts a WHERE a.id = c.alert_id AND a.namespace <> ''
    AND (c.target->>'kind' IN ('container', 'process') OR c.target->>'namespace' = a.namespace);

-- NULL in entries of before: the record is not rewritten. For them the alert and the
-- action are looked at, until retention has taken them. In the others it is a copy of what
-- the body says, so the hash covers it and the verification compares it.
ALTER TABLE audit ADD COLUMN namespace text;
CREATE INDEX audit_seen ON audit (namespace, at);

-- Counts without the namespace, which there are many of: most questions about numbers
-- do not name it.
CREATE TABLE audit_totals (
    day      date   NOT NULL,
    cluster  text   NOT NULL,
    kind     text   NOT NULL,
    playbook text   NOT NULL,
    action   text   NOT NULL,
    result   text   NOT NULL,
    entries  bigint NOT NULL,
    PRIMARY KEY (day, cluster, kind, playbook, action, result)
);
INSERT INTO audit_totals SELECT day, cluster, kind, playbook, action, result, sum(entries) FROM audit_counts GROUP BY 1, 2, 3, 4, 5, 6;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_count() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO audit_counts AS c (day, cluster, kind, namespace, playbook, action, result, entries)
        SELECT (at AT TIME ZONE 'UTC')::date, cluster, kind, coalesce(target_namespace, ''), coalesce(playbook, ''), coalesce(action_type, ''), result, count(*)
        FROM added GROUP BY 1, 2, 3, 4, 5, 6, 7
        ON CONFLICT (day, cluster, kind, namespace, playbook, action, result) DO UPDATE SET entries = c.entries + excluded.entries;
    INSERT INTO audit_totals AS c (day, cluster, kind, playbook, action, result, entries)
        SELECT (at AT TIME ZONE 'UTC')::date, cluster, kind, coalesce(playbook, ''), coalesce(action_type, ''), result, count(*)
        FROM added GROUP BY 1, 2, 3, 4, 5, 6
        ON CONFLICT (day, cluster, kind, playbook, action, result) DO UPDATE SET entries = c.entries + excluded.entries;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_count() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO audit_counts AS c (day, cluster, kind, namespace, playbook, action, result, entries)
        SELECT (at AT TIME ZONE 'UTC')::date, cluster, kind, coalesce(target_namespace, ''), coalesce(playbook, ''), coalesce(action_type, ''), result, count(*)
        FROM added GROUP BY 1, 2, 3, 4, 5, 6, 7
        ON CONFLICT (day, cluster, kind, namespace, playbook, action, result) DO UPDATE SET entries = c.entries + excluded.entries;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
DROP TABLE audit_totals;
ALTER TABLE audit DROP COLUMN namespace;
ALTER TABLE actions DROP COLUMN namespace;
