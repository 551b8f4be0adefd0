package responder_test

import (
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder"
	"riposte/responder/api"
	"riposte/responder/audit"
	"riposte/responder/store"
)

// Once a key has handed over and is gone, its public half is still what a verification
// begins with.
func TestVerificationBeginsWithTheFirstKey(t *testing.T) {
	r := newRig(t)
	_, first, firstPublic := newKey(t)
	_, second, _ := newKey(t)
	for _, keys := range [][2]string{{first, ""}, {second, first}} { // each start and each stop is an entry, and a stop signs all
		r.options.CheckpointKeyFile, r.options.OldCheckpointKeyFile = keys[0], keys[1]
		one, _ := r.run(t)
		stop(t, one)
	}
	r.options.OldCheckpointKeyFile = ""
	one, c := r.run(t)
	v, err := c.Verify(t.Context())
	require.NoError(t, err)
	require.False(t, v.OK, "%+v", v)
	require.Contains(t, v.Chains[0].Reason, "key")
	stop(t, one)

	r.options.FirstCheckpointKeyFile = firstPublic
	_, c = r.run(t)
	v, err = c.Verify(t.Context())
	require.NoError(t, err)
	require.True(t, v.OK, "%+v", v)

	r.options.FirstCheckpointKeyFile = first
	_, err = responder.New(r.options)
	require.ErrorContains(t, err, first+": it is no PEM public key")
}

// A responder signs its record, keeps the checkpoints on the bus and in a file, and
// tells by them what the database alone could not.
func TestCheckpointsOutsideOfTheDatabase(t *testing.T) {
	r := newRig(t)
	key, keyFile, _ := newKey(t)
	r.options.CheckpointKeyFile, r.options.CheckpointFile = keyFile, filepath.Join(t.TempDir(), "checkpoints.jsonl")
	r.options.CheckpointWithin = 10 * time.Millisecond

	one, c := r.run(t)
	r.obey(t)
	r.send(t, critical(1, "c1"))
	var v api.Verification
	require.Eventually(t, func() bool {
		var err error
		v, err = c.Verify(t.Context())
		require.NoError(t, err)
		require.True(t, v.OK, "%+v", v)
		return v.Entries > 5 && v.Chains[0].Signed == v.Entries
	}, patience, 50*time.Millisecond)
	stop(t, one)
	kept, damaged, err := audit.ReadFile(r.options.CheckpointFile)
	require.NoError(t, err)
	require.Empty(t, damaged)
	require.GreaterOrEqual(t, kept[len(kept)-1].Seq, v.Entries)

	// Whoever owns the database takes the last entries back, with all that it has about them.
	s, err := store.Open(t.Context(), r.options.DatabaseURL)
	require.NoError(t, err)
	defer s.Close()
	for _, sql := range []string{
		"ALTER TABLE audit DISABLE TRIGGER ALL", "ALTER TABLE audit_checkpoints DISABLE TRIGGER ALL",
		"DELETE FROM audit WHERE seq > 3", "DELETE FROM audit_checkpoints WHERE seq > 3", "UPDATE audit_heads SET seq = 3, hash = (SELECT hash FROM audit WHERE seq = 3)",
	} {
		_, err := s.Pool().Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	alone, err := audit.Verify(t.Context(), s.Pool(), audit.Evidence{Keys: []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}})
	require.NoError(t, err)
	require.True(t, alone.OK, "the database alone looks good: %+v", alone)

	// By the stream alone, without the file.
	require.NoError(t, os.Remove(r.options.CheckpointFile))
	_, c = r.run(t)
	v, err = c.Verify(t.Context())
	require.NoError(t, err)
	require.False(t, v.OK)
	require.Contains(t, v.Chains[0].Reason, "was signed at")
	kept, _, err = audit.ReadFile(r.options.CheckpointFile)
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	for _, p := range kept {
		require.LessOrEqual(t, p.Seq, int64(3), "nothing is signed about such a chain")
	}
}
