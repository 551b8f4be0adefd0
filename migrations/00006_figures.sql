-- +goose Up

-- The figures count the incidents that are not over.
CREATE INDEX incidents_pending ON incidents (state) WHERE state IN ('open', 'contained');

-- +goose Down
DROP INDEX incidents_pending;
