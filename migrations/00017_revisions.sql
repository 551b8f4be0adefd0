-- +goose Up

-- What playbooks consisted of, by revision: a decision can be explained when others are
-- loaded. kept is JSON, seen_at is when a responder had it loaded last.
CREATE TABLE playbook_revisions (
    revision text        PRIMARY KEY,
    playbook text        NOT NULL,
    kept     text        NOT NULL,
    seen_at  timestamptz NOT NULL
);

-- +goose Down
DROP TABLE playbook_revisions;
