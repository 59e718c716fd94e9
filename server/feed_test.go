package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

const eventNames = "https://remit-auth.github.io/events/"

// told is one frame of a feed, verified.
type told struct {
	id, event, kind string
	body            map[string]any
}

func (f told) seq() int64 { n, _ := f.body["seq"].(float64); return int64(n) }

// feed is an open feed.
type feed struct {
	t      *testing.T
	frames chan told // closed when the feed has ended
}

// listen opens the Guard's feed.
func (g *guardian) listen(t *testing.T) *feed {
	t.Helper()
	return g.listenAs(t, "")
}

// listenAs opens the feed with this query.
func (g *guardian) listenAs(t *testing.T, query string) *feed {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	keys := g.w.keys()
	r, err := http.NewRequestWithContext(ctx, "GET", g.w.issuer+"/feed"+query, nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+g.assertion())
	resp, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("feed: %s %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	f := &feed{t, make(chan told, 1000)}
	go func() {
		defer resp.Body.Close()
		defer close(f.frames)
		var frame told
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				frame.id = value
			case "event":
				frame.event = value
			case "data":
				set, err := keys.VerifySET(value, g.w.issuer, ticketsURI)
				if err != nil || len(set.Events) != 1 {
					t.Errorf("frame: %v %v", err, set.Events)
					return
				}
				for name, raw := range set.Events {
					frame.kind = strings.TrimPrefix(name, eventNames)
					json.Unmarshal(raw, &frame.body)
				}
			case "":
				f.frames <- frame
				frame = told{}
			}
		}
	}()
	return f
}

// next waits for a frame that is no beat.
func (f *feed) next() told {
	f.t.Helper()
	for {
		if frame := f.any(); frame.event != "beat" {
			return frame
		}
	}
}

func (f *feed) any() told {
	f.t.Helper()
	select {
	case frame, ok := <-f.frames:
		if !ok {
			f.t.Fatal("the feed has ended")
		}
		return frame
	case <-time.After(10 * time.Second):
		f.t.Fatal("the feed is silent")
	}
	return told{}
}

// ended waits for the end of the feed.
func (f *feed) ended() {
	f.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case _, ok := <-f.frames:
			if !ok {
				return
			}
		case <-deadline:
			f.t.Fatal("the feed goes on")
		}
	}
}

// move moves a task as the operator.
func (w *world) move(verb, task string) {
	w.t.Helper()
	if got := w.operator("POST", "/admin/api/tasks/"+verb, map[string]string{"id": task}); got.Status != http.StatusOK {
		w.t.Errorf("%s: %d %s", verb, got.Status, got.Body)
	}
}

func TestFeed(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, first := w.lend()
	token, second := w.lend()
	live := g.listen(t)
	if f := live.next(); f.event != "set" || f.kind != "snapshot" || f.seq() != 0 || f.id != "0" {
		t.Fatalf("first frame: %+v", f)
	}
	w.move("suspend", first.Task.ID)
	w.move("resume", first.Task.ID)
	w.move("end", first.Task.ID)
	for i, want := range []struct{ kind, state string }{{store.EventTaskSuspended, "suspended"}, {store.EventTaskResumed, "active"}, {store.EventTaskEnded, "revoked"}} {
		f := live.next()
		if f.kind != want.kind || f.body["state"] != want.state || f.body["task"] != first.Task.ID || f.seq() != int64(i+1) || f.id != strconv.Itoa(i+1) {
			t.Fatalf("event %d: %+v", i+1, f)
		}
	}
	a := w.agent(w.client)
	if got := a.post("/revoke", map[string][]string{"client_id": {w.client}, "token": {token}}); got.Status != http.StatusOK {
		t.Fatalf("revoke: %d %s", got.Status, got.Body)
	}
	if f := live.next(); f.kind != store.EventTokenRevoked && f.kind != store.EventTaskEnded {
		t.Fatalf("revocation: %+v", f)
	}
	w.move("suspend", func() string { _, third := w.lend(); return third.Task.ID }())
	live.next()

	// Who connects now learns the same at once.
	snapshot := g.listen(t).next()
	if snapshot.kind != "snapshot" || snapshot.seq() != 5 {
		t.Fatalf("snapshot: %+v", snapshot)
	}
	tasks, _ := json.Marshal(snapshot.body["tasks"])
	gone, _ := json.Marshal(snapshot.body["tokens"])
	if !strings.Contains(string(tasks), first.Task.ID) || !strings.Contains(string(tasks), `"suspended"`) ||
		!strings.Contains(string(gone)+string(tasks), second.ID) && !strings.Contains(string(tasks), second.Task.ID) {
		t.Errorf("snapshot: tasks %s tokens %s", tasks, gone)
	}
	// What tokens no longer reach is left out.
	w.clock.Add(331 * time.Second)
	if later := g.listen(t).next(); len(later.body["tasks"].([]any)) != 0 || later.seq() < 5 {
		t.Errorf("after 331 s: %+v", later)
	}
}

func TestFeedBeats(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	must(t, w.server.Settle(context.Background()))
	live := g.listen(t)
	live.next()
	f := live.any()
	if f.event != "beat" || f.kind != "beat" || f.seq() != 0 {
		t.Fatalf("beat: %+v", f)
	}
	c, err := w.keys().VerifyCheckpoint(f.body["checkpoint"].(string))
	must(t, err)
	if size, head, err := w.store.Head(context.Background()); err != nil || c.Size != size || c.Head != head.String() || c.Issuer != w.issuer {
		t.Errorf("checkpoint %+v, ledger has %d %s (%v)", c, size, head, err)
	}
}

// mute is a store whose feed cannot be read while down.
type mute struct {
	store.Store
	mu    sync.Mutex
	down  bool
	tries chan struct{}
}

func (m *mute) FeedSince(ctx context.Context, resource string, seq int64, limit int) ([]store.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		m.tries <- struct{}{}
		return nil, context.DeadlineExceeded
	}
	return m.Store.FeedSince(ctx, resource, seq, limit)
}

// TestNoBeatWithoutARead: a beat says that nothing is newer, so a server that cannot know is silent.
func TestNoBeatWithoutARead(t *testing.T) {
	db := &mute{tries: make(chan struct{}, 100)}
	w := newWorldOn(t, func(s store.Store) store.Store { db.Store = s; return db })
	live := w.guard(ticketsURI).listen(t)
	live.next()
	db.mu.Lock()
	db.down = true
	db.mu.Unlock()
	<-db.tries // a beat was due
	for len(live.frames) > 0 {
		if f := <-live.frames; f.event == "beat" {
			t.Fatalf("a beat without a read: %+v", f)
		}
	}
	db.mu.Lock()
	db.down = false
	db.mu.Unlock()
	if f := live.any(); f.event != "beat" {
		t.Errorf("after the store came back: %+v", f)
	}
}

// TestFeedIsGapless: whoever connects whenever sees every number after its snapshot, once.
func TestFeedIsGapless(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	const moves, listeners = 40, 12
	feeds := make(chan *feed, listeners)
	var moving sync.WaitGroup
	moving.Go(func() {
		for range moves {
			w.move("suspend", claims.Task.ID)
			w.move("resume", claims.Task.ID)
		}
	})
	for range listeners {
		feeds <- g.listen(t)
	}
	moving.Wait()
	close(feeds)
	for f := range feeds {
		at := f.next().seq()
		for at < 2*moves {
			frame := f.any()
			switch {
			case frame.event == "beat" && frame.seq() > at:
				t.Fatalf("a beat at %d after %d", frame.seq(), at)
			case frame.event == "set" && frame.seq() != at+1:
				t.Fatalf("%d after %d", frame.seq(), at)
			case frame.event == "set":
				at++
			}
		}
	}
}

func TestFeedEnds(t *testing.T) {
	tests := map[string]func(w *world){
		"when the server stops":         func(w *world) { w.server.Close() },
		"when another Guard takes over": func(w *world) { w.guard(ticketsURI) },
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			g := w.guard(ticketsURI)
			feeds := []*feed{g.listen(t), g.listen(t)}
			for _, f := range feeds {
				f.next()
			}
			end(w)
			for _, f := range feeds {
				f.ended()
			}
		})
	}
	w := newWorld(t)
	g := w.guard(ticketsURI)
	w.server.Close()
	if got := g.call("GET", "/feed", nil); got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("a stopped server: %d %s", got.Status, got.Body)
	}
}

func TestAck(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	w.move("end", claims.Task.ID)
	acked := func() int64 {
		res, err := w.store.ResourceByURI(context.Background(), ticketsURI)
		must(t, err)
		return res.AckSeq
	}
	for _, tt := range []struct{ seq, want int64 }{{0, 0}, {1, 1}, {0, 1}, {99, 1}} { // never back, never ahead
		if got := g.call("POST", "/feed/ack", map[string]int64{"seq": tt.seq}); got.Status != http.StatusNoContent {
			t.Fatalf("ack %d: %d %s", tt.seq, got.Status, got.Body)
		}
		if got := acked(); got != tt.want {
			t.Errorf("after ack %d: %d, want %d", tt.seq, got, tt.want)
		}
	}
	for name, body := range map[string]any{"negative": map[string]int{"seq": -1}, "text": map[string]string{"seq": "1"}, "nothing": nil} {
		if got := g.call("POST", "/feed/ack", body); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
}

// TestManyGuardsHearOfAnEnd: one commit reaches every open feed, the signature made once.
func TestManyGuardsHearOfAnEnd(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	feeds := make([]*feed, 200)
	for i := range feeds {
		feeds[i] = g.listen(t)
		feeds[i].next()
	}
	began := time.Now()
	w.move("end", claims.Task.ID)
	for _, f := range feeds {
		if got := f.next(); got.kind != store.EventTaskEnded {
			t.Fatalf("%+v", got)
		}
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the last of %d heard after %s", len(feeds), took)
	} else {
		t.Logf("the last of %d heard after %s", len(feeds), took)
	}
}
