package resource

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/remit-auth/remit/tokens"
)

const (
	grantsLimit  = 32 << 20         // bytes of grants remembered, as they were fetched
	grantsUnused = 10 * time.Minute // after that a grant is forgotten: two lives of a token
	grantTimeout = 3 * time.Second  // how long a call waits for a grant
	indexedFrom  = 16               // tools; fewer are found faster one by one
)

// granted are the tools that the user allowed here, with the task's own limits. It never changes.
type granted struct {
	task  *tokens.TaskDetail
	tools []tokens.ToolDetail
	index map[string]int // by name; nil: few
}

func newGranted(d tokens.Details) *granted {
	gr := &granted{task: d.Task, tools: d.Tools}
	if len(d.Tools) >= indexedFrom {
		gr.index = make(map[string]int, len(d.Tools))
		for i, t := range d.Tools {
			gr.index[t.Tool] = i
		}
	}
	return gr
}

// tool returns a copy of what was allowed of the tool; nil: nothing.
func (gr *granted) tool(name string) *tokens.ToolDetail {
	i, ok := gr.index[name]
	for j := 0; gr.index == nil && !ok && j < len(gr.tools); j++ {
		i, ok = j, gr.tools[j].Tool == name
	}
	if !ok {
		return nil
	}
	one := gr.tools[i] // a copy: what outlives the grant's memory must not keep it all
	return &one
}

// grants are the grants that are too large for a token, which names them by their hash. They never
// change, so each is fetched once; the least used ones are forgotten when they take too much room.
type grants struct {
	fetch func(ctx context.Context, hash string) (*granted, int, error)
	now   func() time.Time
	limit int

	mu    sync.Mutex
	known map[string]*fetched
	size  int
}

// fetched is one grant, or the fetch of it.
type fetched struct {
	done  chan struct{}
	grant *granted
	err   error
	size  int
	used  time.Time
}

// get returns the grant of this hash. Whoever asks for one that is being fetched waits for it; a
// failure is not remembered.
func (m *grants) get(ctx context.Context, hash string) (*granted, error) {
	m.mu.Lock()
	one := m.known[hash]
	if one == nil {
		one = &fetched{done: make(chan struct{})}
		if m.known == nil {
			m.known = map[string]*fetched{}
		}
		m.known[hash] = one
		go m.fill(hash, one) // no caller's patience is that of the others
	}
	one.used = m.now()
	m.mu.Unlock()
	select {
	case <-one.done:
		return one.grant, one.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *grants) fill(hash string, one *fetched) {
	ctx, cancel := context.WithTimeout(context.Background(), grantTimeout)
	defer cancel()
	defer close(one.done)
	grant, size, err := m.fetch(ctx, hash)
	m.mu.Lock()
	defer m.mu.Unlock()
	one.grant, one.size, one.err = grant, size, err // others look at the size meanwhile
	if err != nil {
		delete(m.known, hash)
		return
	}
	m.size += one.size
	m.makeRoom(one)
}

// makeRoom forgets what was not used for long and, while there is too much, what was used least
// lately. What is being fetched stays.
func (m *grants) makeRoom(newest *fetched) {
	now := m.now()
	for {
		var oldest string
		for hash, one := range m.known {
			switch {
			case one == newest || one.size == 0:
			case now.Sub(one.used) > grantsUnused:
				m.forget(hash)
			case oldest == "" || one.used.Before(m.known[oldest].used):
				oldest = hash
			}
		}
		if m.size <= m.limit || oldest == "" {
			return
		}
		m.forget(oldest)
	}
}

func (m *grants) forget(hash string) {
	m.size -= m.known[hash].size
	delete(m.known, hash)
}

// fetchGrant fetches a grant and makes sure that it is the one that the token names, and this
// resource's.
func (g *Guard) fetchGrant(ctx context.Context, hash string) (*granted, int, error) {
	raw, err := g.authority.exchange(ctx, http.MethodGet, endpoint(g.issuer, "/grants/"+url.PathEscape(hash)), nil)
	if err != nil {
		return nil, 0, err
	}
	if tokens.HashBytes(raw) != hash {
		return nil, 0, fmt.Errorf("resource: the grant %s has another hash", hash)
	}
	all, err := tokens.ParseGrant(raw)
	if err != nil {
		return nil, 0, err
	}
	here := all.For(g.resource)
	if len(here.Tools) == 0 || len(here.Tools) != len(all.Tools) {
		return nil, 0, errors.New("resource: the grant is not for this resource")
	}
	return newGranted(here), len(raw), nil
}

// details finds what the user allowed: in the token or, when that is too large for one, at the
// authorization server, once.
func (c *call) details() *refusal {
	b := c.bearer
	if b.GrantHash == "" {
		c.granted = b.granted
		return nil
	}
	var err error
	if c.granted, err = c.g.grants.get(c.r.Context(), b.GrantHash); err != nil {
		c.g.log.Error("a grant could not be fetched", "error", err, "task", b.Task.ID)
		return refuse(GrantUnavailable, "what the user allowed cannot be read now; try again soon")
	}
	return nil
}
