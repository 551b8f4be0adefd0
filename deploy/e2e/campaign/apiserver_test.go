package campaign

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log" //nolint:depguard // net/http takes no other
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// gate stands before the API server and answers in its place, or late, or loses its
// answer. Behind its own link it can be cut off as well.
type gate struct {
	*link
	// Kubeconfig is the file for a responder.
	kubeconfig string
	bad        atomic.Bool
	mu         sync.Mutex
	random     *rand.Rand
	// answers count what went wrong, by its name.
	answers map[string]int
	// deletes count the deletions of pods that the API server was asked for.
	deletes int
}

// newGate makes a gate for the user of a kubeconfig.
func newGate(t *testing.T, kubeconfig string, seed, stream uint64) *gate {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	transport, err := rest.TLSConfigFor(config)
	require.NoError(t, err)
	target, err := url.Parse(config.Host)
	require.NoError(t, err)
	g := &gate{random: rand.New(rand.NewPCG(seed, stream)), answers: map[string]int{}}
	behind := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     &http.Transport{TLSClientConfig: transport, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 100},
		FlushInterval: -1, // watches
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(behind, w, r) }))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // connections that the link cut off
	server.StartTLS()
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	g.link = newLink(t, dialer("tcp", server.Listener.Addr().String()))

	file, err := clientcmd.LoadFromFile(kubeconfig)
	require.NoError(t, err)
	for _, c := range file.Clusters {
		c.Server = "https://" + g.addr()
		c.CertificateAuthorityData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	}
	g.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*file, g.kubeconfig))
	return g
}

// In a hundred requests so many go wrong in each way, of those that write twice as many.
var troubles = []struct {
	name string
	of   int
}{{"409", 4}, {"429", 4}, {"500", 5}, {"late", 6}, {"lost", 4}}

func (g *gate) trouble(write bool) (name string, wait time.Duration) {
	if !g.bad.Load() {
		return "", 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.random.IntN(100)
	if write {
		n /= 2
	}
	wait = between(g.random, 10*time.Millisecond, 1500*time.Millisecond)
	for _, t := range troubles {
		if n -= t.of; n < 0 {
			if t.name == "409" && !write {
				return "", 0
			}
			g.answers[t.name]++
			return t.name, wait
		}
	}
	return "", 0
}

func (g *gate) serve(behind http.Handler, w http.ResponseWriter, r *http.Request) {
	write := r.Method != http.MethodGet
	name, wait := g.trouble(write)
	switch name {
	case "409":
		refuse(w, http.StatusConflict, metav1.StatusReasonConflict, nil)
		return
	case "429":
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, &metav1.StatusDetails{RetryAfterSeconds: 1})
		return
	case "500":
		refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError, nil)
		return
	case "late":
		select {
		case <-time.After(wait): // as the API server would
		case <-r.Context().Done():
			return
		}
	case "lost":
		if write { // done, and nobody hears of it
			g.count(r)
			behind.ServeHTTP(httptest.NewRecorder(), r)
		}
		panic(http.ErrAbortHandler)
	}
	g.count(r)
	behind.ServeHTTP(w, r)
}

func (g *gate) count(r *http.Request) {
	if r.Method == http.MethodDelete {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.deletes++
	}
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, details *metav1.StatusDetails) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	b, err := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Details: details,
		Message: fmt.Sprintf("the campaign answers %d", code),
	})
	if err == nil {
		_, _ = w.Write(b)
	}
}
