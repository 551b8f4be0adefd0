-- +goose Up

-- Tokens that were made over the API. Only their hash is kept: who reads this table
-- cannot sign in with it.
CREATE TABLE access_tokens (
    id           uuid        PRIMARY KEY,
    -- whose it is: the record names this person or program
    name         text        NOT NULL,
    -- SHA-256 of the token, which is 32 random bytes: nothing to guess, so no slow hash
    hash         bytea       NOT NULL UNIQUE,
    role         text        NOT NULL CHECK (role IN ('viewer', 'responder', 'approver', 'admin')),
    -- what it is limited to; empty: everything
    clusters     text[]      NOT NULL DEFAULT '{}',
    namespaces   text[]      NOT NULL DEFAULT '{}',
    reason       text        NOT NULL DEFAULT '',
    created_by   text        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    revoked_by   text        NOT NULL DEFAULT '',
    -- to within some minutes
    used_at      timestamptz
);
CREATE INDEX access_tokens_created ON access_tokens (created_at DESC, id DESC);
CREATE INDEX access_tokens_short_id ON access_tokens (right(id::text, 12));

-- Answers to requests with an Idempotency-Key, for a day: the same request gets the
-- same answer and has no second effect.
CREATE TABLE api_answers (
    principal  text        NOT NULL,
    key        text        NOT NULL,
    -- SHA-256 of method, path and body
    request    bytea       NOT NULL,
    -- 0 while the first one is being worked on
    status     smallint    NOT NULL DEFAULT 0,
    kind       text        NOT NULL DEFAULT '',
    body       bytea       NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (principal, key)
);
CREATE INDEX api_answers_created ON api_answers (created_at);

-- For the list of decisions.
CREATE INDEX decisions_decided ON decisions (decided_ns DESC, id DESC);
CREATE INDEX decisions_short_id ON decisions (right(id::text, 12));

-- +goose Down
DROP INDEX decisions_short_id, decisions_decided;
DROP TABLE api_answers, access_tokens;
