package store_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/store"
	"riposte/responder/store/recordtest"
	"riposte/responder/store/storetest"
)

// planEntries is enough that the planner has a choice: in less, reading all is best.
const planEntries = 100_000

// node is one node of EXPLAIN's answer.
type node struct {
	Type     string `json:"Node Type"`
	Index    string `json:"Index Name"`
	Relation string `json:"Relation Name"`
	Plans    []node `json:"Plans"`
}

func (n node) walk(look func(node)) {
	look(n)
	for _, p := range n.Plans {
		p.walk(look)
	}
}

// planOf is how the database will answer.
func planOf(t *testing.T, s *store.Store, sql string, args []any) node {
	t.Helper()
	var out []byte
	require.NoError(t, s.Pool().QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) "+sql, append([]any{store.ForValues}, args...)...).Scan(&out))
	var all []struct{ Plan node }
	require.NoError(t, json.Unmarshal(out, &all))
	return all[0].Plan
}

// Each documented question has its index: one that is lost, or that the planner has no
// more use for, shows here. No month that holds something is read whole.
func TestPlansOfTheDocumentedQuestions(t *testing.T) {
	r := recordtest.Fill(t, storetest.New(t), planEntries)
	type index struct{ Month, Parent string }
	parents := map[string]string{}
	rows, err := r.Store.Pool().Query(t.Context(), "SELECT c.relname, p.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent WHERE c.relkind = 'i'")
	require.NoError(t, err)
	for rows.Next() {
		var one index
		require.NoError(t, rows.Scan(&one.Month, &one.Parent))
		parents[one.Month] = one.Parent
	}
	require.NoError(t, rows.Err())
	filled := map[string]bool{}
	rows, err = r.Store.Pool().Query(t.Context(), "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND reltuples > 0")
	require.NoError(t, err)
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		filled[name] = true
	}
	require.NoError(t, rows.Err())

	for _, q := range questions() {
		t.Run(q.name, func(t *testing.T) {
			sql, args, err := store.AuditQuery(q.in, q.filter(r, r.Episodes()/2), store.Paging{Limit: 50})
			require.NoError(t, err)
			plan := planOf(t, r.Store, sql, args)
			var text strings.Builder
			plan.walk(func(n node) { text.WriteString("\n" + n.Type + " " + n.Index + " " + n.Relation) })
			var months, used []string
			plan.walk(func(n node) {
				if n.Type == "Seq Scan" && filled[n.Relation] {
					require.Failf(t, "a table is read whole", "%s", text.String())
				}
				if strings.HasPrefix(n.Relation, "audit_") && filled[n.Relation] && !slices.Contains(months, n.Relation) {
					months = append(months, n.Relation)
				}
				if n.Index != "" {
					used = append(used, parents[n.Index])
				}
			})
			require.Contains(t, used, q.index, text.String())
			require.NotEmpty(t, months)
			if q.months > 0 {
				require.LessOrEqual(t, len(months), q.months, "%s", months)
			} else {
				require.GreaterOrEqual(t, len(months), 2, "the record is of a year")
			}
		})
	}
	// Labels have theirs in each of the other lists. Of incidents there are too few to need one.
	_, err = r.Store.Pool().Exec(t.Context(), `INSERT INTO incidents (id, cluster, key, title, priority, first_at, last_at, joinable, labels)
		SELECT gen_random_uuid(), 'c', 'more ' || n, 't', 2, now(), now(), false, jsonb_build_object('app', 'other-' || n) FROM generate_series(1, 20000) AS n`)
	require.NoError(t, err)
	_, err = r.Store.Pool().Exec(t.Context(), "VACUUM ANALYZE incidents")
	require.NoError(t, err)
	lists := map[string]func() (string, []any, error){
		"alerts": func() (string, []any, error) {
			return store.AlertsQuery(store.Everything(), store.AlertFilter{Selector: app(7)}, store.Paging{Limit: 50})
		},
		"actions": func() (string, []any, error) {
			return store.ActionsQuery(store.Everything(), store.ActionFilter{Selector: app(7)}, store.Paging{Limit: 50})
		},
		"incidents": func() (string, []any, error) {
			return store.IncidentsQuery(store.Everything(), store.IncidentFilter{Selector: app(7)}, store.Paging{Limit: 50})
		},
	}
	for table, query := range lists {
		t.Run(table+" list -l", func(t *testing.T) {
			sql, args, err := query()
			require.NoError(t, err)
			var used []string
			planOf(t, r.Store, sql, args).walk(func(n node) {
				require.False(t, n.Type == "Seq Scan" && strings.HasPrefix(n.Relation, table) && filled[n.Relation], "%s is read whole", n.Relation)
				used = append(used, n.Index, parents[n.Index])
			})
			require.Contains(t, used, table+"_labels")
		})
	}
	for _, c := range countings() {
		t.Run(c.name, func(t *testing.T) {
			sql, args, err := store.CountQuery(store.Everything(), c.filter(r), c.by)
			require.NoError(t, err)
			planOf(t, r.Store, sql, args).walk(func(n node) {
				require.NotEqual(t, "Seq Scan", n.Type)
				require.NotContains(t, n.Relation, "audit_2", "it counts what was counted")
				if n.Relation != "" {
					require.Equal(t, c.table, n.Relation)
				}
			})
		})
	}
}

// What was counted is what there is.
func TestCountsAreThoseOfTheRecord(t *testing.T) {
	r := recordtest.Fill(t, storetest.New(t), 20_000)
	for i := range 3 {
		require.NoError(t, r.Store.InTx(t.Context(), func(tx store.Tx) error { return add(t.Context(), tx, i) }))
	}
	var differ int
	require.NoError(t, r.Store.Pool().QueryRow(t.Context(), `SELECT count(*) FROM audit_counts c FULL JOIN (
			SELECT (at AT TIME ZONE 'UTC')::date AS day, cluster, kind, coalesce(target_namespace, '') AS namespace, coalesce(playbook, '') AS playbook,
				coalesce(action_type, '') AS action, result, count(*) AS entries FROM audit GROUP BY 1, 2, 3, 4, 5, 6, 7) a
		USING (day, cluster, kind, namespace, playbook, action, result) WHERE c.entries IS DISTINCT FROM a.entries`).Scan(&differ))
	require.Zero(t, differ)
	require.NoError(t, r.Store.Pool().QueryRow(t.Context(), `SELECT count(*) FROM audit_totals t FULL JOIN (
			SELECT day, cluster, kind, playbook, action, result, sum(entries) AS entries FROM audit_counts GROUP BY 1, 2, 3, 4, 5, 6) c
		USING (day, cluster, kind, playbook, action, result) WHERE t.entries IS DISTINCT FROM c.entries`).Scan(&differ))
	require.Zero(t, differ)

	rows, err := r.Store.Counts(t.Context(), store.Everything(), store.CountFilter{}, []string{"cluster"})
	require.NoError(t, err)
	var sum int64
	for _, c := range rows {
		require.NotEmpty(t, c.Cluster)
		require.Empty(t, c.Playbook)
		sum += c.Entries
	}
	require.EqualValues(t, r.Entries+3, sum)
	one := recordtest.Namespace(1)
	rows, err = r.Store.Counts(t.Context(), store.Scope{{Namespaces: []string{one}}}, store.CountFilter{}, []string{"namespace", "result"})
	require.NoError(t, err)
	require.NotEmpty(t, rows)
	for _, c := range rows {
		require.Equal(t, one, c.Namespace)
	}
	for _, bad := range [][]string{nil, {"node"}, {"day", "day"}, {"day; DROP TABLE audit"}} {
		_, err := r.Store.Counts(t.Context(), store.Everything(), store.CountFilter{}, bad)
		require.ErrorIs(t, err, store.ErrCountedBy)
	}
}
