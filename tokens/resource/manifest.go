package resource

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// toolsFresh is how long the live definitions are believed.
const toolsFresh = time.Second

// liveTool is one tool as it is now.
type liveTool struct {
	definition string // its hash
	schema     tokens.Schema
	readOnly   bool // its annotations say so; the definition that was consented to holds them
}

// liveTools is the server's tools as they are now, read again when they are older than toolsFresh.
type liveTools struct {
	list    func(context.Context) ([]json.RawMessage, error)
	now     func() time.Time
	log     *slog.Logger
	changed chan struct{} // receives when the definitions differ from what was there before

	current atomic.Pointer[toolSet]
	mu      sync.Mutex // one reading at a time
}

type toolSet struct {
	byName map[string]liveTool
	raw    []json.RawMessage // of those in byName
	digest [sha256.Size]byte // of all that the server lists
	at     time.Time
}

// lookup returns the live tool of this name.
func (l *liveTools) lookup(ctx context.Context, name string) (liveTool, bool, error) {
	set := l.current.Load()
	if age := l.age(set); age < 0 || age >= toolsFresh {
		var err error
		if set, err = l.refresh(ctx); err != nil {
			return liveTool{}, false, err
		}
	}
	t, ok := set.byName[name]
	return t, ok, nil
}

// age is how old the set is; negative when there is none.
func (l *liveTools) age(set *toolSet) time.Duration {
	if set == nil {
		return -1
	}
	return max(0, l.now().Sub(set.at))
}

func (l *liveTools) refresh(ctx context.Context) (*toolSet, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.current.Load()
	if age := l.age(old); age >= 0 && age < toolsFresh {
		return old, nil // somebody else just did
	}
	raw, err := l.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("resource: reading the live tools: %w", err)
	}
	set := &toolSet{digest: digest(raw), at: l.now()}
	if old != nil && old.digest == set.digest {
		set.byName, set.raw = old.byName, old.raw
		l.current.Store(set)
		return set, nil
	}
	if set.byName, set.raw, err = parseTools(raw); err != nil {
		l.log.Warn("tools that cannot be protected are left out", "error", err)
	}
	if old != nil {
		select {
		case l.changed <- struct{}{}:
		default:
		}
	}
	l.current.Store(set)
	return set, nil
}

// RefreshTools reads the live definitions now, rather than at the next call, and tells the
// authorization server what has changed: for servers that announce changes, and for polling.
func (g *Guard) RefreshTools(ctx context.Context) error {
	g.tools.expire()
	_, err := g.tools.read(ctx)
	return err
}

// expire ends the belief in what was read.
func (l *liveTools) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.current.Load(); old != nil {
		stale := *old
		stale.at = l.now().Add(-toolsFresh)
		l.current.Store(&stale)
	}
}

// read returns the live definitions as tools/list has them.
func (l *liveTools) read(ctx context.Context) ([]json.RawMessage, error) {
	set, err := l.refresh(ctx)
	if err != nil {
		return nil, err
	}
	return set.raw, nil
}

func digest(raw []json.RawMessage) [sha256.Size]byte {
	h := sha256.New()
	for _, r := range raw {
		fmt.Fprintf(h, "%d:", len(r))
		h.Write(r)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// parseTools returns the tools that can be judged, and why the others cannot: a broken definition
// must not take the tools beside it away. Of two with one name nobody knows which would run.
func parseTools(raw []json.RawMessage) (byName map[string]liveTool, usable []json.RawMessage, err error) {
	byName, usable = make(map[string]liveTool, len(raw)), make([]json.RawMessage, 0, len(raw))
	count := map[string]int{} // also of those that are broken
	for _, r := range raw {
		count[nameOf(r)]++
	}
	for _, r := range raw {
		name := nameOf(r)
		tool, bad := parseTool(r)
		if bad == nil && count[name] > 1 {
			bad = errors.New("there is another of this name")
		}
		if bad != nil {
			err = errors.Join(err, fmt.Errorf("the tool %q: %w", name, bad))
			continue
		}
		byName[name] = tool
		usable = append(usable, r)
	}
	return byName, usable, err
}

// nameOf is the name in an entry of tools/list, or nothing.
func nameOf(raw json.RawMessage) (name string) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) == nil {
		_ = json.Unmarshal(members["name"], &name) // which parseTool refuses if it is none
	}
	return name
}

func parseTool(raw json.RawMessage) (liveTool, error) {
	d, err := tokens.ParseDefinition(raw)
	if err != nil {
		return liveTool{}, err
	}
	hash, err := d.Hash()
	if err != nil {
		return liveTool{}, err
	}
	schema, err := tokens.ParseSchema(d.InputSchema)
	if err != nil {
		return liveTool{}, err
	}
	return liveTool{hash, schema, d.Annotations != nil && d.Annotations.ReadOnlyHint != nil && *d.Annotations.ReadOnlyHint}, nil
}

// publish keeps the authorization server's picture of policy and tools current, until ctx ends.
func (g *Guard) publish(ctx context.Context) {
	retry := backoff{least: time.Second, most: time.Minute}
	for {
		err := g.publishOnce(ctx)
		if err == nil {
			retry.reset()
			select {
			case <-g.tools.changed:
				continue
			case <-g.policyChanged:
				continue
			case <-ctx.Done():
				return
			}
		}
		if ctx.Err() != nil {
			return
		}
		g.log.Warn("the manifest could not be published", "error", err)
		if !retry.wait(ctx) {
			return
		}
	}
}

func (g *Guard) publishOnce(ctx context.Context) error {
	tools, err := g.tools.read(ctx)
	if err != nil {
		return err
	}
	in := struct {
		Policy string            `json:"policy"`
		Tools  []json.RawMessage `json:"tools"`
	}{string(g.rules.Load().src), tools}
	var out struct {
		Pending []string `json:"pending_tools"`
	}
	if err := g.authority.call(ctx, http.MethodPut, endpoint(g.issuer, "/manifest"), in, &out); err != nil {
		return err
	}
	if len(out.Pending) > 0 {
		g.log.Warn("tools wait for an admin's approval", "tools", out.Pending)
	}
	return nil
}
