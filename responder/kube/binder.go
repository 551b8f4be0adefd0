package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/klog/v2"

	"riposte/responder/playbook"
)

// How long and how many deleted pods are remembered. Ten thousand in ten
// minutes is seventeen pods a second, more than a large cluster's jobs end.
const (
	rememberFor = 10 * time.Minute
	rememberMax = 10_000
)

// Limits of asking the API server about a pod that is not known yet. A node
// that makes up UIDs must not use up the requests that actions need.
const (
	asksPerSecond = 5
	askBurst      = 20
	askTimeout    = 2 * time.Second
	// askPause is how long nothing is asked after the API server did not answer: a
	// batch of alerts must not wait for a timeout each.
	askPause = 500 * time.Millisecond
)

// Binder knows every pod of the cluster by its UID, and so whether a node tells
// the truth when it says that something happened in one of its pods:
//
//   - bound: the pod is on that node, or was until a few minutes ago;
//   - forged: the pod is on another node;
//   - unbound: there is no such pod as far as we can find out.
type Binder struct {
	client   kubernetes.Interface
	log      *slog.Logger
	pods     *directory
	informer cache.SharedIndexInformer
	// delivered says that every pod of the first list is in pods.
	delivered cache.InformerSynced
	asks      flowcontrol.RateLimiter
	// looks bounds the guard's questions.
	looks flowcontrol.RateLimiter

	// askedInVain is when the API server last did not answer, Unix nanoseconds.
	askedInVain               atomic.Int64
	lastError                 atomic.Pointer[error]
	asked, askErrors, skipped atomic.Uint64
}

// NewBinder makes a Binder that knows nothing until Run has begun.
func NewBinder(client kubernetes.Interface, log *slog.Logger) (*Binder, error) {
	return newBinder(client, log, newDirectory(rememberFor, rememberMax, time.Now))
}

func newBinder(client kubernetes.Interface, log *slog.Logger, pods *directory) (*Binder, error) {
	b := &Binder{
		client:   client,
		log:      log.With("component", "kube"),
		pods:     pods,
		informer: cache.NewSharedIndexInformer(follow(client), &corev1.Pod{}, 0, indexers),
		asks:     flowcontrol.NewTokenBucketRateLimiter(asksPerSecond, askBurst),
		looks:    flowcontrol.NewTokenBucketRateLimiter(looksPerSecond, lookBurst),
	}
	err := errors.Join(b.informer.SetTransform(strip), b.informer.SetWatchErrorHandlerWithContext(b.watchFailed))
	if err != nil {
		return nil, err
	}
	handler, err := b.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(pod any) { b.set(pod.(*followed)) },
		UpdateFunc: b.updated,
		DeleteFunc: b.deleted,
	})
	if err != nil {
		return nil, err
	}
	b.delivered = handler.HasSynced
	return b, nil
}

// Run follows the cluster's pods until ctx ends. It outlives every failure of
// the API server.
func (b *Binder) Run(ctx context.Context) {
	// client-go logs through its own logger, to standard error, unless it is given one.
	b.informer.RunWithContext(klog.NewContext(ctx, logr.FromSlogHandler(b.log.Handler())))
}

// Synced says whether the pods that exist are known.
func (b *Binder) Synced() bool { return b.delivered() }

// WaitSynced returns when Run has the pods that exist. Its error says why it
// has not got them when ctx ends.
func (b *Binder) WaitSynced(ctx context.Context) error {
	for !b.delivered() {
		select {
		case <-ctx.Done():
			if last := b.lastError.Load(); last != nil {
				return fmt.Errorf("list pods: %w: %w", ctx.Err(), *last)
			}
			return fmt.Errorf("list pods: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// Bind checks that node runs, or a few minutes ago ran, the pod with this UID.
// The pod is only returned if it is bound; it is shared, so nobody may change
// it. A UID that is not known is asked for at the API server, for two seconds at
// most: a pod's first alert can be faster than the news of the pod. An error says
// that this could not be told now; the binding is Unbound then.
func (b *Binder) Bind(node, uid string) (playbook.Binding, *playbook.Pod, error) {
	if uid == "" {
		return playbook.None, nil, nil
	}
	pod := b.pods.find(uid)
	if pod == nil || pod.Node == "" { // a pod has no node until the scheduler finds one
		found, err := b.ask(node, uid)
		if err != nil {
			return playbook.Unbound, nil, err
		}
		pod = found
	}
	switch {
	case pod == nil:
		return playbook.Unbound, nil, nil
	case pod.Node != node:
		return playbook.Forged, nil, nil
	}
	return playbook.Bound, pod, nil
}

// BindNamed finds the pod that had a name at a time, for alerts that no node
// vouches for. A pod that was made later is another one: unbound. If a UID is
// given too and it is another pod's, the alert is forged; a UID alone is enough if
// the name is empty. Errors are as in Bind.
func (b *Binder) BindNamed(namespace, name, uid string, at time.Time) (playbook.Binding, *playbook.Pod, error) {
	if uid != "" {
		if pod := b.pods.find(uid); pod != nil {
			if namespace != "" && namespace != pod.Namespace || name != "" && name != pod.Name {
				return playbook.Forged, nil, nil
			}
			return playbook.Bound, pod, nil
		}
	}
	if len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return playbook.Unbound, nil, nil
	}
	pod, created := b.pods.findNamed(namespace, name)
	if pod == nil {
		live, err := b.askNamed(namespace, name)
		if live == nil || err != nil {
			return playbook.Unbound, nil, err
		}
		pod, created = project(live), live.CreationTimestamp.Time
	}
	if uid != "" && uid != pod.UID || created.After(at) || pod.Node == "" {
		return playbook.Unbound, nil, nil
	}
	return playbook.Bound, pod, nil
}

// set has a pod that exists.
func (b *Binder) set(f *followed) { b.pods.set(f.pod, f.CreationTimestamp.Time) }

var (
	errTooManyAsked = errors.New("too many pods are unknown to ask for each")
	errInVain       = errors.New("the API server did not answer a moment ago")
)

// ask looks for the UID among the node's pods as the API server knows them now.
// It asks for the node and not for the pod's name: the name would be the
// node's own claim, and is often not known there either in a pod's first moments.
func (b *Binder) ask(node, uid string) (found *playbook.Pod, err error) {
	err = b.live(func(ctx context.Context) error {
		list, err := b.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
			FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
		})
		if err != nil {
			return err
		}
		for i := range list.Items {
			if string(list.Items[i].UID) == uid {
				found = project(&list.Items[i])
			}
		}
		return nil
	})
	return found, err
}

// askNamed returns nil if there is no such pod.
func (b *Binder) askNamed(namespace, name string) (found *corev1.Pod, err error) {
	err = b.live(func(ctx context.Context) error {
		pod, err := b.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return err
		default:
			found = pod
		}
		return nil
	})
	return found, err
}

// live asks the API server within the limits.
func (b *Binder) live(do func(context.Context) error) error {
	if time.Since(time.Unix(0, b.askedInVain.Load())) < askPause {
		b.skipped.Add(1)
		return errInVain
	}
	if !b.asks.TryAccept() {
		b.skipped.Add(1)
		return errTooManyAsked
	}
	b.asked.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	if err := do(ctx); err != nil {
		b.askErrors.Add(1)
		b.askedInVain.Store(time.Now().UnixNano())
		return fmt.Errorf("ask for a pod of which nothing is known yet: %w", err)
	}
	return nil
}

// Stats are counters since the start, and the present sizes.
type Stats struct {
	// Pods exist, Remembered were deleted a short while ago.
	Pods, Remembered int
	// ForgottenEarly is how many deleted pods were forgotten before their time, for want of room.
	ForgottenEarly uint64
	// Asked counts unknown UIDs that the API server was asked for, AskErrors those
	// that it could not answer, AskSkipped those it was not asked for because there
	// were too many or it had just not answered. Bind returned an error for both.
	Asked, AskErrors, AskSkipped uint64
}

// Stats returns the counters.
func (b *Binder) Stats() Stats {
	s := Stats{Asked: b.asked.Load(), AskErrors: b.askErrors.Load(), AskSkipped: b.skipped.Load()}
	s.Pods, s.Remembered, s.ForgottenEarly = b.pods.size()
	return s
}

func (b *Binder) updated(before, after any) {
	was, is := before.(*followed), after.(*followed)
	if was.UID != is.UID {
		// Deleted and made again under its name while the watch was interrupted: such
		// a pair arrives as one update.
		b.pods.remove(was.pod)
	}
	b.set(is)
}

func (b *Binder) deleted(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	if f, ok := object.(*followed); ok {
		b.pods.remove(f.pod)
	}
}

func (b *Binder) watchFailed(ctx context.Context, _ *cache.Reflector, err error) {
	switch {
	case ctx.Err() != nil:
	case apierrors.IsResourceExpired(err) || apierrors.IsGone(err):
		// The normal end of an old watch.
	default:
		b.lastError.Store(&err)
		b.log.Warn("following the cluster's pods was interrupted; trying again", "error", err)
	}
}
