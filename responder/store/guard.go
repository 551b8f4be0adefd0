package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// CountKey is one thing whose effects the guard counts, such as a namespace.
type CountKey struct{ Scope, Cluster, Name string }

// Reservation is one effect's place in what the guard counts: under each key its
// subject counts once, however many effects are about it.
type Reservation struct {
	ActionID      string
	Subject, Type string
	Kill          bool
	Keys          []CountKey
}

// Tally asks which subjects count under a key.
type Tally struct {
	CountKey
	// Kills counts only what kills, Type only that type; false and empty all.
	Kills bool
	Type  string
	// Span and Settle choose what was reserved between so long ago. What is not
	// executed yet counts even if it is older than Span.
	Span, Settle time.Duration
	// Limit bounds the answer.
	Limit int
}

// counts are the states of an action that had, may have had, or will have an
// effect. Whatever else it ended as gives its place back.
const counts = `('planned', 'executing', 'succeeded', 'unknown')`

// pending is how much longer than its span a reservation counts while its action
// waits: longer than an action lives unexecuted.
const pending = `interval '15 minutes'`

// Survey is what the guard looks at before it lets actions be planned.
type Survey struct {
	// Modes are those that were set of the playbooks, Switches the kill switches that are on.
	Modes    []ModeRow
	Switches []SwitchRow
	// Ended counts by playbook how its actions ended.
	Ended map[string]Ended
	// Found has the subjects of each Tally.
	Found [][]string
}

// Ended counts how a playbook's actions ended.
type Ended struct{ Failed, All int }

// Survey makes the transaction the only one that counts and reserves in these
// clusters until it ends, and then looks. Rows of actions must be locked before,
// the record's head after. Ended counts the actions that were planned within span
// and after their playbook's mode was set, and that were tried and have ended.
func (tx Tx) Survey(ctx context.Context, clusters, playbooks []string, span time.Duration, asked []Tally) (s Survey, err error) {
	// All on one way to the database: others wait meanwhile. Each statement sees what
	// was committed before it begins, so those behind the locks see all that counts.
	batch := &pgx.Batch{}
	for _, key := range lockKeys(clusters) {
		batch.Queue("SELECT pg_advisory_xact_lock($1)", key)
	}
	// The array stands in a SELECT of its own, so that one plan is kept, as in aroundInbox.
	batch.Queue(selectModes+" WHERE playbook = ANY((SELECT $1::text[])::text[])", playbooks).Query(func(rows pgx.Rows) (err error) {
		s.Modes, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ModeRow])
		return err
	})
	batch.Queue(selectSwitches + " WHERE is_on").Query(func(rows pgx.Rows) (err error) {
		s.Switches, err = pgx.CollectRows(rows, pgx.RowToStructByPos[SwitchRow])
		return err
	})
	batch.Queue(`SELECT a.playbook, count(*) FILTER (WHERE a.state IN ('failed', 'unknown')), count(*)
		FROM actions a LEFT JOIN playbook_modes m ON m.playbook = a.playbook
		WHERE a.playbook = ANY($1) AND a.state IN ('succeeded', 'failed', 'unknown')
		AND a.planned_ns > (extract(epoch FROM statement_timestamp())::float8 - $2::float8) * 1e9
		AND (m.at IS NULL OR a.planned_ns > extract(epoch FROM m.at)::float8 * 1e9)
		GROUP BY a.playbook`, playbooks, span.Seconds()).Query(func(rows pgx.Rows) error {
		s.Ended = map[string]Ended{}
		var playbook string
		var e Ended
		_, err := pgx.ForEachRow(rows, []any{&playbook, &e.Failed, &e.All}, func() error {
			s.Ended[playbook] = e
			return nil
		})
		return err
	})
	batch.Queue(tallySQL, tallyArgs(asked, 0)...).Query(func(rows pgx.Rows) (err error) {
		s.Found, err = readTallies(rows, len(asked))
		return err
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return s, fmt.Errorf("look at what counts against the budgets: %w", err)
	}
	return s, nil
}

// lockKeys are the advisory locks of clusters, in the one order for all.
func lockKeys(clusters []string) []int64 {
	keys := make([]int64, 0, len(clusters))
	for _, c := range clusters {
		sum := sha256.Sum256([]byte("riposte/guard\n" + c))
		keys = append(keys, int64(binary.BigEndian.Uint64(sum[:8])))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// TalliesBefore counts only what was reserved before the reservation seq (see
// Judged), and so what stood when that one was made. It needs no lock.
func (s *Store) TalliesBefore(ctx context.Context, seq int64, asked []Tally) ([][]string, error) {
	if len(asked) == 0 {
		return nil, nil
	}
	rows, err := s.pool.Query(ctx, tallySQL, tallyArgs(asked, seq)...)
	if err != nil {
		return nil, fmt.Errorf("count earlier effects: %w", err)
	}
	found, err := readTallies(rows, len(asked))
	if err != nil {
		return nil, fmt.Errorf("count earlier effects: %w", err)
	}
	return found, nil
}

const tallySQL = `SELECT q.n, s.subject
	FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::text[], $6::float8[], $7::float8[], $8::integer[])
		WITH ORDINALITY AS q (scope, cluster, name, kills, type, span, settle, most, n)
	CROSS JOIN LATERAL (SELECT DISTINCT r.subject FROM guard_reservations r JOIN actions a ON a.id = r.action_id
		WHERE r.cluster = q.cluster AND r.scope = q.scope AND r.name = q.name
		AND r.at > statement_timestamp() - make_interval(secs => q.span) - ` + pending + `
		AND (r.at > statement_timestamp() - make_interval(secs => q.span) OR a.state IN ('planned', 'executing'))
		AND (q.settle = 0 OR r.at <= statement_timestamp() - make_interval(secs => q.settle))
		AND (r.kill OR NOT q.kills) AND (q.type = '' OR r.type = q.type)
		AND a.state IN ` + counts + ` AND ($9::bigint = 0 OR r.seq < $9)
		LIMIT q.most) s`

func tallyArgs(asked []Tally, before int64) []any {
	return []any{
		column(asked, func(t *Tally) string { return t.Scope }), column(asked, func(t *Tally) string { return t.Cluster }),
		column(asked, func(t *Tally) string { return t.Name }), column(asked, func(t *Tally) bool { return t.Kills }),
		column(asked, func(t *Tally) string { return t.Type }), column(asked, func(t *Tally) float64 { return t.Span.Seconds() }),
		column(asked, func(t *Tally) float64 { return t.Settle.Seconds() }), column(asked, func(t *Tally) int32 { return int32(t.Limit) }), before,
	}
}

func readTallies(rows pgx.Rows, asked int) ([][]string, error) {
	found := make([][]string, asked)
	var n int64
	var subject string
	_, err := pgx.ForEachRow(rows, []any{&n, &subject}, func() error {
		found[n-1] = append(found[n-1], subject)
		return nil
	})
	return found, err
}

// Reserve makes reservations, in their order. One that is there already stays.
func (tx Tx) Reserve(ctx context.Context, all []Reservation) error {
	type row struct {
		*Reservation
		key CountKey
	}
	var rows []row
	for i := range all {
		for _, k := range all[i].Keys {
			rows = append(rows, row{&all[i], k})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO guard_reservations (action_id, scope, cluster, name, subject, type, kill)
		SELECT * FROM unnest($1::text[]::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[])
		ON CONFLICT DO NOTHING`,
		column(rows, func(r *row) string { return r.ActionID }), column(rows, func(r *row) string { return r.key.Scope }),
		column(rows, func(r *row) string { return r.key.Cluster }), column(rows, func(r *row) string { return r.key.Name }),
		column(rows, func(r *row) string { return r.Subject }), column(rows, func(r *row) string { return r.Type }),
		column(rows, func(r *row) bool { return r.Kill }))
	if err != nil {
		return fmt.Errorf("reserve effects: %w", err)
	}
	return nil
}

// AddEffects keeps what the guard knew of each action, by the action's id.
func (tx Tx) AddEffects(ctx context.Context, effects map[string]json.RawMessage) error {
	if len(effects) == 0 {
		return nil
	}
	ids, bodies := make([]string, 0, len(effects)), make([]string, 0, len(effects))
	for id, b := range effects {
		ids, bodies = append(ids, id), append(bodies, jsonText(b))
	}
	_, err := tx.Exec(ctx, `INSERT INTO guard_effects (action_id, effect) SELECT * FROM unnest($1::text[]::uuid[], $2::text[]::jsonb[])
		ON CONFLICT (action_id) DO UPDATE SET effect = excluded.effect`, ids, bodies)
	if err != nil {
		return fmt.Errorf("store what the guard judged: %w", err)
	}
	return nil
}

// Regard is a state that the guard gives to an action that was stored as planned
// or waiting.
type Regard struct {
	ActionID, State, RefusedBy, Note string
	// ExpiresNS is the action's new end, 0 for the one that it has.
	ExpiresNS int64
}

// Regard changes actions that nobody can have claimed yet, because this
// transaction stored them.
func (tx Tx) Regard(ctx context.Context, all []Regard) error {
	if len(all) == 0 {
		return nil
	}
	text := func(f func(*Regard) string) []string {
		return column(all, func(r *Regard) string { return Text(f(r)) })
	}
	_, err := tx.Exec(ctx, `UPDATE actions a SET state = r.state, refused_by = r.refused_by, note = r.note,
			expires_ns = CASE WHEN r.expires_ns = 0 THEN a.expires_ns ELSE r.expires_ns END
		FROM unnest($1::text[]::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[]) AS r (id, state, refused_by, note, expires_ns)
		WHERE a.id = r.id AND a.state IN ('planned', 'waiting')`,
		text(func(r *Regard) string { return r.ActionID }), text(func(r *Regard) string { return r.State }),
		text(func(r *Regard) string { return r.RefusedBy }), text(func(r *Regard) string { return r.Note }),
		column(all, func(r *Regard) int64 { return r.ExpiresNS }))
	if err != nil {
		return fmt.Errorf("store the guard's verdicts: %w", err)
	}
	return nil
}

// Reinstatement brings a waiting action back that Plan made needless too early,
// because the guard does not let the other one be planned.
type Reinstatement struct {
	// Waiting is the action that waits again, Other the one that took its place.
	Waiting, Other string
	// Drop removes Other's row: it joins the waiting one.
	Drop bool
}

// Reinstate is for the transaction that planned. What people answered still counts.
func (tx Tx) Reinstate(ctx context.Context, all []Reinstatement) error {
	for _, r := range all {
		if r.Drop {
			if _, err := tx.Exec(ctx, "DELETE FROM actions WHERE id = $1::text::uuid", r.Other); err != nil {
				return fmt.Errorf("join a waiting action: %w", err)
			}
		}
		_, err := tx.Exec(ctx, `UPDATE actions a SET state = 'waiting', note = coalesce((SELECT reason FROM approvals p WHERE p.action_id = a.id), '')
			WHERE id = $1::text::uuid AND state = 'cancelled'`, r.Waiting)
		if err != nil {
			return fmt.Errorf("bring back a waiting action: %w", err)
		}
	}
	return nil
}

// Judged is what is known of an action that the guard let pass before.
type Judged struct {
	Effect []byte
	// Seq is the first of its reservations, 0 if it counts nowhere.
	Seq int64
	// Needed is how many people had to agree, 0 if nobody was asked; Granted are the
	// rules that they agreed about, once enough of them have.
	Needed, Agreed int
	Granted        []string
	// Mode is its playbook's, Switches the kill switches that are on, as they are now.
	Mode     ModeRow
	Switches []SwitchRow
}

// Judged finds an action that the guard judged, or ErrNotFound.
func (s *Store) Judged(ctx context.Context, actionID string) (j Judged, err error) {
	// Three questions on one way to the database: every effect waits for this.
	batch := &pgx.Batch{}
	batch.Queue(`SELECT e.effect::text, coalesce((SELECT min(seq) FROM guard_reservations r WHERE r.action_id = e.action_id), 0),
			coalesce(p.needed, 0), coalesce((SELECT count(*) FROM approval_votes v WHERE v.action_id = e.action_id AND v.agrees), 0),
			coalesce(p.rules, '{}')
		FROM guard_effects e LEFT JOIN approvals p ON p.action_id = e.action_id WHERE e.action_id = $1::text::uuid`, actionID).
		QueryRow(func(row pgx.Row) error { return row.Scan(&j.Effect, &j.Seq, &j.Needed, &j.Agreed, &j.Granted) })
	batch.Queue(selectModes+` WHERE playbook = (SELECT playbook FROM actions WHERE id = $1::text::uuid)`, actionID).Query(func(rows pgx.Rows) error {
		found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ModeRow])
		if len(found) > 0 {
			j.Mode = found[0]
		}
		return err
	})
	batch.Queue(selectSwitches + " WHERE is_on").Query(func(rows pgx.Rows) (err error) {
		j.Switches, err = pgx.CollectRows(rows, pgx.RowToStructByPos[SwitchRow])
		return err
	})
	err = s.pool.SendBatch(ctx, batch).Close()
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return j, ErrNotFound
	case err != nil:
		return j, fmt.Errorf("read what the guard judged: %w", err)
	}
	if j.Needed == 0 || j.Agreed < j.Needed {
		j.Granted = nil
	}
	return j, nil
}

// Usage is how many subjects count under one key now.
type Usage struct {
	Scope, Cluster, Name string
	Used                 int64
}

// Span is how far a scope's budgets look back, or those of one name in it.
type Span struct {
	Scope, Name string
	Span        time.Duration
}

// Usage lists what counts now in the scopes, the fullest first, 500 at most. A name
// with a span of its own is counted over that one.
func (s *Store) Usage(ctx context.Context, spans []Span) ([]Usage, error) {
	all, err := collect[Usage](ctx, s.pool, `WITH q AS (SELECT * FROM unnest($1::text[], $2::text[], $3::float8[]) AS q (scope, name, span))
		SELECT r.scope, r.cluster, r.name, count(DISTINCT r.subject)
		FROM guard_reservations r JOIN actions a ON a.id = r.action_id AND a.state IN `+counts+`
		JOIN LATERAL (SELECT span FROM q WHERE q.scope = r.scope AND q.name IN ('', r.name) ORDER BY q.name DESC LIMIT 1) own ON true
		WHERE r.at > statement_timestamp() - make_interval(secs => own.span)
		GROUP BY r.scope, r.cluster, r.name ORDER BY 4 DESC, 1, 2, 3 LIMIT 500`,
		column(spans, func(s *Span) string { return s.Scope }), column(spans, func(s *Span) string { return s.Name }),
		column(spans, func(s *Span) float64 { return s.Span.Seconds() }))
	if err != nil {
		return nil, fmt.Errorf("read the budgets' use: %w", err)
	}
	return all, nil
}

// PruneGuard forgets reservations that were made before a time, which must be
// longer ago than what any budget looks back.
func (s *Store) PruneGuard(ctx context.Context, before time.Time) (int64, error) {
	tag, err := s.pool.Exec(ctx, "DELETE FROM guard_reservations WHERE at < $1", before)
	if err != nil {
		return 0, fmt.Errorf("prune the guard's counts: %w", err)
	}
	return tag.RowsAffected(), nil
}
