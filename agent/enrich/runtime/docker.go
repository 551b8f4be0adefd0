package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"riposte/agent/event"
)

// maxReply bounds one answer of the Docker API.
const maxReply = 8 << 20

// docker is the Docker Engine API on a unix socket, which Podman has too. The calls
// and their fields are as of API 1.24, which every engine in use understands.
// https://docs.docker.com/reference/api/engine/
type docker struct {
	client http.Client
	kind   string
}

func newDocker(path string) *docker {
	d := &docker{}
	d.client.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		MaxIdleConnsPerHost: workers,
	}
	return d
}

func (d *docker) close() { d.client.CloseIdleConnections() }

// request starts a call. An answer of the engine's that is no success is errNotFound
// or a refusal.
func (d *docker) request(ctx context.Context, path string) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker"+path, nil)
	if err != nil {
		return nil, err
	}
	reply, err := d.client.Do(r)
	if err != nil {
		return nil, err
	}
	if reply.StatusCode == http.StatusOK {
		return reply.Body, nil
	}
	reply.Body.Close()
	if reply.StatusCode == http.StatusNotFound {
		return nil, errNotFound
	}
	return nil, &refusal{fmt.Errorf("GET %s: %s", path, reply.Status)}
}

func (d *docker) get(ctx context.Context, path string, to any) error {
	body, err := d.request(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, maxReply)).Decode(to); err != nil {
		return &refusal{fmt.Errorf("GET %s: %w", path, err)}
	}
	return nil
}

func (d *docker) open(ctx context.Context) (string, error) {
	var v struct{ Components []struct{ Name string } }
	if err := d.get(ctx, "/version", &v); err != nil {
		return "", err
	}
	d.kind = "docker"
	for _, c := range v.Components {
		if strings.HasPrefix(c.Name, "Podman") {
			d.kind = "podman"
		}
	}
	return d.kind, nil
}

func (d *docker) list(ctx context.Context) ([]string, error) {
	var all []struct{ ID string }
	if err := d.get(ctx, "/containers/json?all=true", &all); err != nil {
		return nil, err
	}
	ids := make([]string, len(all))
	for i, c := range all {
		ids[i] = c.ID
	}
	return ids, nil
}

func (d *docker) follow(ctx context.Context, ready func(), created func(id string)) error {
	const filters = `{"type":["container"],"event":["create","start"]}`
	body, err := d.request(ctx, "/events?filters="+url.QueryEscape(filters))
	if err != nil {
		return err
	}
	defer body.Close()
	ready()
	stream := json.NewDecoder(body)
	for {
		var e struct{ Actor struct{ ID string } }
		switch err := stream.Decode(&e); {
		case errors.Is(err, io.EOF):
			return errGone
		case err != nil:
			return fmt.Errorf("events: %w", err)
		case e.Actor.ID != "":
			created(e.Actor.ID)
		}
	}
}

func (d *docker) inspect(ctx context.Context, id string) (*event.Container, error) {
	var r dockerRecord
	if err := d.get(ctx, "/containers/"+url.PathEscape(id)+"/json", &r); err != nil {
		return nil, err
	}
	c := r.container(d.kind)
	var image struct {
		ID                    string
		RepoTags, RepoDigests []string
	}
	// The image may have been removed while its container runs.
	switch err := d.get(ctx, "/images/"+url.PathEscape(r.Image)+"/json", &image); {
	case err == nil:
		setIdentity(c, image.ID, image.RepoTags, image.RepoDigests)
	case errors.Is(err, errNotFound):
		setIdentity(c, r.Image, nil, nil)
	default:
		return nil, err
	}
	return c, nil
}
