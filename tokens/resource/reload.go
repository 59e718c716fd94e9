package resource

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/remit-auth/remit/tokens/resource/policy"
)

// policyPoll is how often the policy file is looked at.
const policyPoll = 2 * time.Second

// PolicyStatus is which policy is in force, for health checks and metrics.
type PolicyStatus struct {
	Version string    // of the policy in force
	Observe bool      // it is only watched
	Since   time.Time // when it came in force here
	Err     error     // why the file that is there now was not taken; nil: it is in force
}

// policyFile is the policy's file, and what was last seen of it.
type policyFile struct {
	mu    sync.Mutex
	path  string
	seen  os.FileInfo
	found os.FileInfo // at the last look, not in force yet
	since time.Time
	err   error
}

// changed reports whether the file is another than was last seen, and has been left alone since the
// last look: half of a policy can be a policy too, and a broader one. Callers hold mu.
func (f *policyFile) changed() bool {
	info, err := os.Stat(f.path)
	if err != nil {
		f.found = nil
		return true // reading it will say why
	}
	settled := same(f.found, info)
	f.found = info
	return settled && !same(f.seen, info)
}

// same reports whether nothing was written between two looks at a file.
func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// PolicyStatus returns which policy is in force, and why a newer one is not.
func (g *Guard) PolicyStatus() PolicyStatus {
	g.file.mu.Lock()
	defer g.file.mu.Unlock()
	rules := g.rules.Load()
	return PolicyStatus{rules.Version(), rules.Mode() == policy.Observe, g.file.since, g.file.err}
}

// Reload reads the policy file again and puts it in force, for every decision from now on. With an
// error the old policy stays as a whole, and PolicyStatus tells why.
func (g *Guard) Reload() error {
	g.file.mu.Lock()
	defer g.file.mu.Unlock()
	return g.reload()
}

// reload is Reload for callers that hold the file's mutex.
func (g *Guard) reload() error {
	if g.file.path == "" {
		return errors.New("resource: the policy is not read from a file")
	}
	info, err := os.Stat(g.file.path) // before reading: a change in between is seen again
	var src []byte
	if err == nil {
		src, err = os.ReadFile(g.file.path)
	}
	if err == nil {
		err = g.enforce(src)
	}
	if g.file.seen = info; err != nil {
		if g.file.err == nil || g.file.err.Error() != err.Error() {
			g.log.Error("the policy file is refused; the old policy stays in force", "file", g.file.path, "error", err)
		}
	}
	g.file.err = err
	return err
}

// ReloadPolicy puts another policy file in force, for every decision from now on. With an error the
// old one stays.
func (g *Guard) ReloadPolicy(src []byte) error {
	g.file.mu.Lock()
	defer g.file.mu.Unlock()
	return g.enforce(src)
}

// enforce puts a policy in force between two calls, and has it published.
func (g *Guard) enforce(src []byte) error {
	rules, err := parseRules(src)
	if err != nil {
		return err
	}
	if old := g.rules.Load(); old != nil && old.Version() == rules.Version() {
		return nil
	}
	g.rules.Store(rules)
	g.file.since = g.now()
	g.log.Info("a policy is in force", "version", rules.Version(), "observe", rules.Mode() == policy.Observe)
	select {
	case g.policyChanged <- struct{}{}:
	default:
	}
	return nil
}

// watchPolicy takes up changes of the policy file until ctx ends.
func (g *Guard) watchPolicy(ctx context.Context) {
	if g.file.path == "" {
		return
	}
	tick := time.NewTicker(policyPoll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			g.lookAtPolicy()
		case <-ctx.Done():
			return
		}
	}
}

// lookAtPolicy reloads the policy file if it has changed.
func (g *Guard) lookAtPolicy() {
	g.file.mu.Lock()
	defer g.file.mu.Unlock()
	if g.file.changed() {
		_ = g.reload() // the status keeps the error, and the log has told it
	}
}
