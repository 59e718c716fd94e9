package agent_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func post(t *testing.T, c *http.Client, url, body string) (int, string) {
	t.Helper()
	res, err := c.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestTransportLearnsTheNonce(t *testing.T) {
	w := newWorld(t)
	_, c := w.session(5 * time.Minute)
	for _, want := range []int{1, 2, 3} {
		if want == 3 {
			w.nonce++ // the server moves on
		}
		if status, body := post(t, c, w.rs.URL+"/mcp", "hello"); status != 200 || body != "hello" || w.calls != want {
			t.Fatalf("call %d: %d %q, %d arrived", want, status, body, w.calls)
		}
	}
	if w.rotated != 0 {
		t.Errorf("refreshed %d times for nothing", w.rotated)
	}
}

func TestTransportKeepsTheTokenToItsResource(t *testing.T) {
	w := newWorld(t)
	_, c := w.session(5 * time.Minute)
	for _, url := range []string{w.rs.URL + "/elsewhere", w.rs.URL + "/mcp/../elsewhere", w.rs.URL + "/mcpelsewhere"} {
		if _, body := post(t, c, url, ""); strings.Contains(body, "at-0") {
			t.Errorf("the token went to %s", url)
		}
	}
}

func TestTransportRefreshesBeforeExpiry(t *testing.T) {
	w := newWorld(t)
	clock := time.Now()
	w.now = func() time.Time { return clock }
	s, c := w.session(5 * time.Minute)
	clock = clock.Add(284 * time.Second)
	if status, _ := post(t, c, w.rs.URL+"/mcp", "x"); status != 200 || w.rotated != 0 {
		t.Fatalf("16 s before expiry: %d, %d refreshes", status, w.rotated)
	}
	clock = clock.Add(2 * time.Second)
	if status, _ := post(t, c, w.rs.URL+"/mcp", "x"); status != 200 || w.rotated != 1 || s.Held().Access != "at-1" {
		t.Fatalf("14 s before expiry: %d, %d refreshes", status, w.rotated)
	}
}

func TestTransportRefreshesWhenRefused(t *testing.T) {
	w := newWorld(t)
	_, c := w.session(5 * time.Minute)
	w.live = "at-none" // as if the resource's clock were ahead
	if status, body := post(t, c, w.rs.URL+"/mcp", "again"); status != 200 || body != "again" || w.rotated != 1 {
		t.Errorf("%d %q, %d refreshes", status, body, w.rotated)
	}
}

// TestTransportReturnsTheRefusal: a task that has ended is told by the resource's own 401.
func TestTransportReturnsTheRefusal(t *testing.T) {
	w := newWorld(t)
	_, c := w.session(5 * time.Minute)
	w.live, w.refuse = "at-none", "the task has ended"
	res, err := c.Post(w.rs.URL+"/mcp", "application/json", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 401 || !strings.Contains(strings.Join(res.Header.Values("WWW-Authenticate"), " "), "invalid_token") {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
}

func TestTransportWithABodyThatCannotBeReadTwice(t *testing.T) {
	w := newWorld(t)
	_, c := w.session(5 * time.Minute)
	res, err := c.Post(w.rs.URL+"/mcp", "text/plain", io.MultiReader(strings.NewReader("once")))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 401 || w.calls != 0 {
		t.Errorf("%d, %d calls: the first answer had to be returned", res.StatusCode, w.calls)
	}
}

// TestTransportRefreshesOnce: however many calls find the token stale, one refreshes it.
func TestTransportRefreshesOnce(t *testing.T) {
	w := newWorld(t)
	_, c := w.session(5 * time.Minute)
	post(t, c, w.rs.URL+"/mcp", "learn the nonce")
	w.mu.Lock()
	w.live = "at-none"
	w.mu.Unlock()
	w.gate, w.entered = make(chan struct{}), make(chan struct{}, 64)
	var wg sync.WaitGroup
	statuses := make([]int, 32)
	for i := range statuses {
		wg.Go(func() {
			res, err := c.Post(w.rs.URL+"/mcp", "text/plain", strings.NewReader("x"))
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
			statuses[i] = res.StatusCode
		})
	}
	<-w.entered
	close(w.gate)
	wg.Wait()
	for i, s := range statuses {
		if s != 200 {
			t.Errorf("call %d: %d", i, s)
		}
	}
	if w.rotated != 1 {
		t.Errorf("refreshed %d times", w.rotated)
	}
}
