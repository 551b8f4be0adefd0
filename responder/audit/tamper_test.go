package audit_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"riposte/responder/audit"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// entriesInTamperTest is long enough that positions at and within the ends, and
// numbers of one to four digits, all come up.
const entriesInTamperTest, checkpointEvery = 1000, 100

// tamperings are done by somebody who owns the database: each gets the position
// n (2 ≤ n < entries) and returns what Verify must name.
var tamperings = map[string]func(db exec1, n, entries int64) int64{
	"body edited": func(db exec1, n, _ int64) int64 {
		db(`UPDATE audit SET body = overlay(body PLACING '\x58' FROM length(body) / 2) WHERE seq = $1`, n)
		return n
	},
	"body edited and its hash computed anew": func(db exec1, n, _ int64) int64 {
		// The own hash fits then; the next entry's prev does not.
		db(`UPDATE audit SET body = convert_to(replace(convert_from(body, 'UTF8'), '"object":"c', '"object":"d'), 'UTF8') WHERE seq = $1`, n)
		db(`UPDATE audit SET hash = sha256('riposte/audit/1
'::bytea || int4send(octet_length(cluster)) || cluster::bytea || int8send(seq) || prev || int4send(octet_length(body)) || body) WHERE seq = $1`, n)
		return n + 1
	},
	"hash edited": func(db exec1, n, _ int64) int64 {
		db(`UPDATE audit SET hash = set_byte(hash, 7, 255 - get_byte(hash, 7)) WHERE seq = $1`, n)
		return n
	},
	"prev edited": func(db exec1, n, _ int64) int64 {
		db(`UPDATE audit SET prev = '\x00'::bytea WHERE seq = $1`, n)
		return n
	},
	"removed": func(db exec1, n, _ int64) int64 {
		db(`DELETE FROM audit WHERE seq = $1`, n)
		return n
	},
	"removed and renumbered": func(db exec1, n, _ int64) int64 {
		db(`DELETE FROM audit WHERE seq = $1`, n)
		db(`UPDATE audit SET seq = -seq WHERE seq > $1`, n)
		db(`UPDATE audit SET seq = -seq - 1 WHERE seq < 0`)
		db(`UPDATE audit_heads SET seq = seq - 1`)
		return n
	},
	"two exchanged": func(db exec1, n, _ int64) int64 {
		db(`UPDATE audit SET seq = -1 WHERE seq = $1`, n)
		db(`UPDATE audit SET seq = $1 WHERE seq = $1 + 1`, n)
		db(`UPDATE audit SET seq = $1 + 1 WHERE seq = -1`, n)
		return n
	},
	"one put in": func(db exec1, n, _ int64) int64 {
		db(`UPDATE audit SET seq = -seq WHERE seq >= $1`, n)
		db(`UPDATE audit SET seq = -seq + 1 WHERE seq < 0`)
		db(`INSERT INTO audit (cluster, seq, month, at, kind, actor, result, body, prev, hash)
			SELECT cluster, $1::bigint, month, at, kind, actor, result, body, prev, hash FROM audit WHERE seq = $1::bigint - 1`, n)
		db(`UPDATE audit_heads SET seq = seq + 1`)
		return n
	},
	"one put in front": func(db exec1, _, _ int64) int64 {
		db(`INSERT INTO audit (cluster, seq, month, at, kind, actor, result, body, prev, hash)
			SELECT cluster, 0, month, at, kind, actor, result, body, prev, hash FROM audit WHERE seq = 1`)
		return 0
	},
	"tail cut": func(db exec1, n, _ int64) int64 {
		db(`DELETE FROM audit WHERE seq >= $1`, n)
		return n
	},
	"tail cut and the head's number set back": func(db exec1, n, _ int64) int64 {
		db(`DELETE FROM audit WHERE seq >= $1`, n)
		db(`UPDATE audit_heads SET seq = $1 - 1`, n)
		return n
	},
	"beginning cut": func(db exec1, n, _ int64) int64 {
		db(`DELETE FROM audit WHERE seq <= $1`, n)
		return 1
	},
	"head removed": func(db exec1, _, entries int64) int64 {
		db(`DELETE FROM audit_heads`)
		return entries
	},
	"head set back": func(db exec1, n, _ int64) int64 {
		db(`UPDATE audit_heads SET seq = $1, hash = (SELECT hash FROM audit WHERE seq = $1)`, n)
		return n + 1
	},
	"column at":          column(`at = at + interval '1 microsecond'`),
	"column kind":        column(`kind = 'alert'`),
	"column actor":       column(`actor = 'user:nobody'`),
	"column result":      column(`result = 'failed'`),
	"column alert_id":    column(`alert_id = gen_random_uuid()`),
	"column action_id":   column(`action_id = NULL`),
	"column incident_id": column(`incident_id = gen_random_uuid()`),
	"column month":       column(`month = (month + interval '1 month')::date`),
	"column action_type": column(`action_type = 'delete_pod'`),
	"column playbook":    column(`playbook = NULL`),
	"column revision":    column(`revision = '5f1f'`),
	"column rule":        column(`rule = 'Another'`),
	"column node":        column(`node = 'n2'`),
	"column target_kind": column(`target_kind = 'pod'`),
	"column target_name": column(`target_name = 'other'`),
	"column namespace":   column(`target_namespace = 'other'`),
	"column target_uid":  column(`target_uid = 'other'`),
	"column seen":        column(`namespace = 'another'`),
	"column labels":      column(`labels = labels || '{"app": "y"}'`),
	"column note":        column(`note = 'something else'`),
	"a reason's salt":    column(`reason_salt = set_byte(reason_salt, 3, 255 - get_byte(reason_salt, 3))`),
	"params put in":      column(`params = '{"a":2}'`),
	"forked": func(db exec1, n, _ int64) int64 {
		db(`INSERT INTO audit (cluster, seq, month, at, kind, actor, result, body, prev, hash)
			SELECT cluster, seq, (month + interval '1 month')::date, at, kind, actor, result, body, prev, hash FROM audit WHERE seq = $1`, n)
		return n
	},
	"checkpoint removed": func(db exec1, _, _ int64) int64 {
		db(`DELETE FROM audit_checkpoints WHERE seq = $1`, 2*checkpointEvery)
		return 3 * checkpointEvery
	},
	"first checkpoint removed": func(db exec1, _, _ int64) int64 {
		db(`DELETE FROM audit_checkpoints WHERE seq = $1`, checkpointEvery)
		return 2 * checkpointEvery
	},
	"checkpoint edited": func(db exec1, _, _ int64) int64 {
		db(`UPDATE audit_checkpoints SET hash = set_byte(hash, 7, 255 - get_byte(hash, 7)) WHERE seq = $1`, checkpointEvery)
		return checkpointEvery
	},
	"column cluster":     func(db exec1, n, _ int64) int64 { db(`UPDATE audit SET cluster = 'other' WHERE seq = $1`, n); return n },
	"everything removed": func(db exec1, _, _ int64) int64 { db(`DELETE FROM audit`); return 1 },
}

func column(set string) func(exec1, int64, int64) int64 {
	return func(db exec1, n, _ int64) int64 {
		db(`UPDATE audit SET `+set+` WHERE seq = $1`, n)
		return n
	}
}

type exec1 func(sql string, args ...any)

func TestEveryTamperingIsFound(t *testing.T) {
	s := storetest.New(t)
	key := newKey(t)
	signer := audit.NewSigner(audit.SignerOptions{Store: s, Key: key})
	for range entriesInTamperTest / checkpointEvery {
		fill(t, s, "c", checkpointEvery)
		require.NoError(t, signer.Round(t.Context(), true))
	}
	appendAll(t, s, entry("untouched", 1))
	e := trusting(key)
	r, err := audit.Verify(t.Context(), s.Pool(), e)
	require.NoError(t, err)
	require.True(t, r.OK, "%+v", r)
	require.EqualValues(t, entriesInTamperTest, r.Chains[0].Signed)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	for name, tamper := range tamperings {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int64{2, entriesInTamperTest - 1, 2 + random.Int64N(entriesInTamperTest-2)} {
				tamperAt(t, s, tamper, n, e)
			}
		})
	}
	require.True(t, verify(t, s).OK, "the rolled back transactions left nothing")
}

// tamperAt tampers in a transaction that is rolled back, and verifies within it.
func tamperAt(t *testing.T, s *store.Store, tamper func(exec1, int64, int64) int64, n int64, e audit.Evidence) {
	tx, err := s.Pool().Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	db := func(sql string, args ...any) {
		_, err := tx.Exec(t.Context(), sql, args...)
		require.NoError(t, err, sql)
	}
	// Only the table's owner can do this.
	db(`ALTER TABLE audit DISABLE TRIGGER USER`)
	db(`ALTER TABLE audit_checkpoints DISABLE TRIGGER USER`)
	// The tamperings name entries by their number alone: the other chain is put aside.
	db(`CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT cluster, seq, month, at, kind, actor, result, alert_id, incident_id, action_id, action_type, playbook,
		revision, rule, node, target_kind, target_namespace, target_name, target_uid, labels, note, note_salt, reason, reason_salt, params, params_salt, body, prev, hash
		FROM audit WHERE cluster = 'untouched'`)
	db(`DELETE FROM audit WHERE cluster = 'untouched'`)
	db(`CREATE TEMP TABLE kept_head ON COMMIT DROP AS SELECT * FROM audit_heads WHERE cluster = 'untouched'`)
	db(`DELETE FROM audit_heads WHERE cluster = 'untouched'`)
	want := tamper(db, n, entriesInTamperTest)
	db(`INSERT INTO audit SELECT * FROM kept`)
	db(`INSERT INTO audit_heads SELECT * FROM kept_head`)

	r, err := audit.Verify(t.Context(), inside{tx}, e)
	require.NoError(t, err)
	require.False(t, r.OK, "position %d", n)
	for _, c := range r.Chains {
		switch c.Cluster {
		case "c":
			require.False(t, c.OK, "position %d", n)
			require.Equal(t, want, c.BadSeq, "position %d: %s", n, c.Reason)
			require.NotEmpty(t, c.Reason)
		case "untouched":
			require.True(t, c.OK, "%+v", c)
		default:
			require.Equal(t, "other", c.Cluster)
			require.False(t, c.OK)
		}
	}
}

// inside lets Verify read in the transaction that tampered: a savepoint takes no
// isolation level.
type inside struct{ tx pgx.Tx }

func (i inside) BeginTx(ctx context.Context, _ pgx.TxOptions) (pgx.Tx, error) { return i.tx.Begin(ctx) }

// chainRows computes a chain without the package's own Sum and Append, by the
// package's documentation alone.
func chainRows(t *testing.T, bodies ...string) ([]audit.Row, audit.Head) {
	t.Helper()
	prev := make([]byte, 32)
	rows := make([]audit.Row, len(bodies))
	for i, body := range bodies {
		frame := slices.Concat([]byte("riposte/audit/1\n"), []byte{0, 0, 0, 1}, []byte("c"), []byte{0, 0, 0, 0, 0, 0, 0, byte(i + 1)}, prev,
			[]byte{0, 0, 0, byte(len(body))}, []byte(body))
		sum := exec.Command("sha256sum")
		sum.Stdin = bytes.NewReader(frame)
		out, err := sum.Output()
		require.NoError(t, err)
		hash, err := hex.DecodeString(string(out[:64]))
		require.NoError(t, err)
		var kept struct {
			At     int64  `json:"at_ns"`
			Actor  string `json:"actor"`
			Result string `json:"result"`
		}
		require.NoError(t, json.Unmarshal([]byte(body), &kept))
		rows[i] = audit.Row{
			Cluster: "c", Seq: int64(i + 1), At: time.Unix(0, kept.At), Kind: "startup", Actor: kept.Actor, Result: kept.Result,
			Body: []byte(body), Prev: prev, Hash: hash,
		}
		prev = hash
	}
	return rows, audit.Head{Cluster: "c", Seq: int64(len(rows)), Hash: prev}
}

func each(rows []audit.Row, end error) iter.Seq2[audit.Row, error] {
	return func(yield func(audit.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
		if end != nil {
			yield(audit.Row{}, end)
		}
	}
}

func TestVerifyRowsFollowsTheDocumentedFormat(t *testing.T) {
	if _, err := exec.LookPath("sha256sum"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("sha256sum is not installed")
	}
	const one = `{"actor":"system:a","at_ns":1000,"cluster":"c","kind":"startup","result":"","schema":1}`
	const two = `{"actor":"system:a","at_ns":2000,"cluster":"c","kind":"startup","result":"ok","schema":1}`
	rows, head := chainRows(t, one, two)

	r, err := audit.VerifyRows(each(rows, nil), []audit.Head{head}, audit.Evidence{})
	require.NoError(t, err)
	require.Equal(t, audit.Report{OK: true, Entries: 2, Chains: []audit.Chain{{Cluster: "c", OK: true, Entries: 2, First: 1, Head: hex.EncodeToString(head.Hash)}}}, r)

	r, err = audit.VerifyRows(each([]audit.Row{rows[0], rows[0], rows[1]}, nil), []audit.Head{head}, audit.Evidence{})
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Chains[0].BadSeq)
	require.Equal(t, "there are two entries 1: the chain was forked, or one was put in", r.Chains[0].Reason)

	r, err = audit.VerifyRows(each([]audit.Row{rows[1], rows[0]}, nil), []audit.Head{head}, audit.Evidence{})
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Chains[0].BadSeq)
	require.Equal(t, "entry 1 is missing: the next one that is there is 2", r.Chains[0].Reason)

	broken := errors.New("the file ends here")
	_, err = audit.VerifyRows(each(rows, broken), []audit.Head{head}, audit.Evidence{})
	require.ErrorIs(t, err, broken)
}

func FuzzVerifyRows(f *testing.F) {
	f.Add(int64(1), []byte(`{"cluster":"c"}`), make([]byte, 32), []byte("x"))
	f.Add(int64(-1), []byte(`null`), []byte(nil), []byte(nil))
	f.Add(int64(1), []byte(`{"what":{"action_id":1}}`), make([]byte, 31), make([]byte, 33))
	f.Fuzz(func(t *testing.T, seq int64, body, prev, hash []byte) {
		r, err := audit.VerifyRows(each([]audit.Row{{Cluster: "c", Seq: seq, Body: body, Prev: prev, Hash: hash}}, nil), []audit.Head{{Cluster: "c", Seq: seq, Hash: hash}}, audit.Evidence{})
		require.NoError(t, err)
		sum := audit.Sum("c", 1, audit.Hash{}, body)
		if r.OK {
			require.Equal(t, sum[:], hash)
		}
	})
}
