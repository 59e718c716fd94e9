package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// refreshTimeout bounds one refresh; it goes on when the caller that began it gives up, because
// others wait for it and the server has perhaps rotated already.
const refreshTimeout = 30 * time.Second

// Session is a task under way: its tokens, kept fresh. It is safe for concurrent use; however many
// calls find the token stale, one of them refreshes it.
type Session struct {
	client *Client

	stepping chan struct{} // one step-up at a time

	mu       sync.Mutex
	token    Token
	flight   *flight
	unwanted map[string]bool // scopes that the user did not allow
}

// flight is a refresh under way.
type flight struct {
	done  chan struct{}
	token Token
	err   error
}

// Session begins with the tokens of Redeem.
func (c *Client) Session(t Token) *Session {
	return &Session{client: c, token: t, stepping: make(chan struct{}, 1)}
}

// Held returns the tokens as they are.
func (s *Session) Held() Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// Token returns an access token that is good for a while, refreshing it when it is about to expire.
// When that fails and the token has not expired yet, it is returned all the same.
func (s *Session) Token(ctx context.Context) (Token, error) {
	t, now := s.Held(), s.client.Now()
	if !t.stale(now) {
		return t, nil
	}
	fresh, err := s.Renew(ctx, t)
	if err != nil && now.Before(t.Expires) && ctx.Err() == nil {
		return t, nil
	}
	return fresh, err
}

// stale reports whether less than a quarter of the token's life, and less than 15 s, is left.
func (t Token) stale(now time.Time) bool {
	margin := min(15*time.Second, t.Expires.Sub(t.Issued)/4)
	return t.Refresh != "" && now.Add(margin).After(t.Expires)
}

// Renew returns the tokens that follow old: those that another caller has fetched meanwhile, or
// fetched now, by one caller for all.
func (s *Session) Renew(ctx context.Context, old Token) (Token, error) {
	s.mu.Lock()
	if s.token.Access != old.Access {
		defer s.mu.Unlock()
		return s.token, nil
	}
	f := s.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		s.flight = f
		go s.fly(context.WithoutCancel(ctx), f, old)
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return Token{}, ctx.Err()
	}
}

func (s *Session) fly(ctx context.Context, f *flight, old Token) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	f.token, f.err = s.client.Refresh(ctx, old)
	s.mu.Lock()
	if f.err == nil && s.token.Access == old.Access { // else a step-up has brought more meanwhile
		s.token = f.token
	}
	s.flight = nil
	s.mu.Unlock()
	close(f.done)
}

// Task is what the authorization server says of the task.
type Task struct {
	ID        string
	State     string // pending, active, suspended, completed, revoked, expired
	Reason    string // why it is suspended, or how it ended
	Purpose   string
	Ends      time.Time
	MaxCalls  int // 0: no budget
	CallsUsed int
	Details   tokens.Details // what may still be done at the session's resource; empty once it is over
}

// taskAnswer is a task on the wire.
type taskAnswer struct {
	ID        string `json:"task_id"`
	State     string `json:"state"`
	Reason    string `json:"reason"`
	Purpose   string `json:"purpose"`
	Ends      int64  `json:"ends"`
	MaxCalls  int    `json:"max_calls"`
	CallsUsed int    `json:"calls_used"`
	Resources []struct {
		Resource string     `json:"resource"`
		Details  rawDetails `json:"authorization_details"`
	} `json:"resources"`
}

// Task asks what the agent may still do.
func (s *Session) Task(ctx context.Context) (Task, error) {
	var a taskAnswer
	if err := s.ask(ctx, http.MethodGet, "", &a); err != nil {
		return Task{}, err
	}
	t := Task{
		ID: a.ID, State: a.State, Reason: a.Reason, Purpose: a.Purpose, Ends: time.Unix(a.Ends, 0).UTC(),
		MaxCalls: a.MaxCalls, CallsUsed: a.CallsUsed,
	}
	for _, r := range a.Resources {
		if r.Resource == s.client.Resource {
			t.Details = r.Details.Details
		}
	}
	return t, nil
}

// CompleteTask says that the work is done: the server ends the task, and every token of it, at
// once. A task that has ended already is no error.
func (s *Session) CompleteTask(ctx context.Context) error {
	return s.ask(ctx, http.MethodPost, "/complete", nil)
}

// ask sends a request about the task, with the task's own token.
func (s *Session) ask(ctx context.Context, method, path string, v any) error {
	address, err := s.address(path)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	still := *s.client.http
	still.Transport = &Transport{Session: s, Base: still.Transport}
	res, err := still.Do(req)
	if err != nil {
		return fmt.Errorf("agent: task: %w", err)
	}
	want := http.StatusOK
	if v == nil && res.StatusCode == http.StatusNoContent {
		want = http.StatusNoContent
	}
	if err := answer(res, want, v); err != nil {
		return fmt.Errorf("agent: task: %w", err)
	}
	return nil
}

// address is where the server speaks of this task.
func (s *Session) address(path string) (string, error) {
	id := s.Held().TaskID
	if id == "" {
		return "", errors.New("agent: task: the tokens name no task")
	}
	return s.client.taskEndpoint() + url.PathEscape(id) + path, nil
}

// taskEndpoint ends in a slash.
func (c *Client) taskEndpoint() string {
	base := c.Server.TaskEndpoint
	if base == "" {
		base = c.Server.Issuer + "/tasks"
	}
	return strings.TrimSuffix(base, "/") + "/"
}
