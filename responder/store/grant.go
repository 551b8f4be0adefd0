package store

import (
	"context"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5"
)

// roleShape is what we take for the name of a role, quoted or not.
var roleShape = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,62}$`)

// Grant gives a role, which must exist, what a responder needs and no more:
//
//   - of the record: to read it, to add entries and checkpoints, to move the chains'
//     heads, and to call audit_redact. It cannot change, remove or truncate an entry.
//   - of the other tables: to read and write rows.
//   - to have months made and retired by functions that have floors of their own.
//   - the schema of the job queue, as its owner: River tends its own indexes.
//
// Who calls it owns the tables. It does no harm to call it again.
func Grant(ctx context.Context, url, role string) error {
	if !roleShape.MatchString(role) {
		return fmt.Errorf("the application's role: %q is not a name of lower-case letters, digits, _ and -", role)
	}
	conn, err := connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it is given up anyway
	var owner, database string
	var known bool
	if err := conn.QueryRow(ctx, "SELECT current_user, current_database(), EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role).Scan(&owner, &database, &known); err != nil {
		return fmt.Errorf("look up the application's role: %w", err)
	}
	switch {
	case !known:
		return fmt.Errorf("there is no role %s: make it first (CREATE ROLE %[1]s LOGIN; GRANT %[1]s TO %s)", role, owner)
	case role == owner:
		return fmt.Errorf("%s is the owner: the application needs a role of its own", role)
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, sql := range grants(pgx.Identifier{role}.Sanitize(), pgx.Identifier{database}.Sanitize()) {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return fmt.Errorf("give the role %s its rights: %w", role, err)
			}
		}
		return nil
	})
}

func grants(role, database string) []string {
	return []string{
		"REVOKE CREATE ON SCHEMA public FROM PUBLIC", // PostgreSQL 14 lets everybody
		"GRANT CONNECT ON DATABASE " + database + " TO " + role,
		"GRANT USAGE ON SCHEMA public TO " + role,
		"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM " + role,
		// Months are reached through their parents alone. Everything that is not the record's:
		`DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND c.relname NOT LIKE 'audit%' AND c.relname <> 'goose_db_version'
    LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO ` + role + `', name);
    END LOOP;
END
$$`,
		"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO " + role,
		"GRANT SELECT ON goose_db_version TO " + role,
		"GRANT SELECT, INSERT ON audit, audit_checkpoints TO " + role,
		"GRANT SELECT ON audit_counts, audit_totals TO " + role,
		"GRANT SELECT, INSERT, UPDATE ON audit_heads TO " + role,
		"GRANT EXECUTE ON FUNCTION record_ahead(), record_retire(text, date), audit_redact(text, bigint, text) TO " + role,
		// River's schema, with all that is in it.
		"ALTER SCHEMA " + RiverSchema + " OWNER TO " + role,
		`DO $$
DECLARE
    of record;
BEGIN
    FOR of IN SELECT c.oid::regclass AS name FROM pg_class c WHERE c.relnamespace = '` + RiverSchema + `'::regnamespace AND c.relkind IN ('r', 'p') LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO ` + role + `', of.name);
    END LOOP;
    FOR of IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = '` + RiverSchema + `'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO ` + role + `', of.name);
    END LOOP;
    FOR of IN SELECT t.oid::regtype AS name FROM pg_type t WHERE t.typnamespace = '` + RiverSchema + `'::regnamespace AND t.typtype = 'e' LOOP
        EXECUTE format('ALTER TYPE %s OWNER TO ` + role + `', of.name);
    END LOOP;
END
$$`,
	}
}

// DropRetired drops the record's months that were retired before, for good, and
// returns their names. Export them first, if anybody may ask.
func DropRetired(ctx context.Context, url string) ([]string, error) {
	conn, err := connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it is given up anyway
	rows, err := conn.Query(ctx, "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'riposte_retired'::regnamespace AND c.relkind = 'r' ORDER BY 1")
	if err != nil {
		return nil, fmt.Errorf("list the retired months: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the retired months: %w", err)
	}
	for i, name := range names {
		if _, err := conn.Exec(ctx, "DROP TABLE "+pgx.Identifier{"riposte_retired", name}.Sanitize()); err != nil {
			return names[:i], fmt.Errorf("drop the retired month %s: %w", name, err)
		}
	}
	return names, nil
}

// RoleOf is the role that a connection string connects as.
func RoleOf(url string) (string, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return "", fmt.Errorf("database URL: %w", err)
	}
	return config.User, nil
}
