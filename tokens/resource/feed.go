package resource

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// What the feed's SETs tell (RFC 8417): the last part of their event URIs.
const (
	eventURI       = "https://remit-auth.github.io/events/"
	eventSnapshot  = "snapshot"
	eventBeat      = "beat"
	eventEnded     = "task.ended"
	eventSuspended = "task.suspended"
	eventResumed   = "task.resumed"
	eventRevoked   = "token.revoked"
	eventKilled    = "key.killed"
	eventEpoch     = "epoch.raised"
	eventThrown    = "switch.thrown"
	eventLifted    = "switch.lifted"
)

const (
	frameLimit = 4 << 20          // bytes of one frame: a snapshot of 5 minutes
	ahead      = 30 * time.Second // how far in the future an iat may lie
)

// event is one thing that happened.
type event struct {
	Seq    int64  `json:"seq"`
	Task   string `json:"task"`
	JTI    string `json:"jti"`
	State  string `json:"state"`
	Reason string `json:"reason"`
	KID    string `json:"kid"` // key.killed

	Switch *killSwitch `json:"switch"`    // switch.thrown
	ID     string      `json:"switch_id"` // switch.lifted

	Epoch     int64 `json:"epoch"` // epoch.raised
	NotBefore int64 `json:"not_before"`
}

// snapshot is what ended, was revoked or is suspended, up to and with Seq.
type snapshot struct {
	Seq   int64 `json:"seq"`
	Tasks []struct {
		Task   string `json:"task"`
		State  string `json:"state"`
		Reason string `json:"reason"`
	} `json:"tasks"`
	Tokens []string `json:"tokens"`
	Keys   []string `json:"keys"` // killed

	Switches []killSwitch `json:"switches"` // all that are in force

	Epoch     int64 `json:"epoch"`
	NotBefore int64 `json:"not_before"` // tokens issued up to this second are of an earlier epoch
}

// beat says that the feed lives, how far it is, and what the ledger's newest checkpoint is.
type beat struct {
	Seq        int64  `json:"seq"`
	Checkpoint string `json:"checkpoint"`
}

// errGap means that the sequence has a hole: only a new snapshot helps.
var errGap = errors.New("resource: the feed has a gap")

// errKilled means that a frame was signed with a key that was killed.
var errKilled = errors.New("resource: a frame signed with a killed key")

// listen keeps the feed open until ctx ends.
func (g *Guard) listen(ctx context.Context) {
	retry := backoff{least: 100 * time.Millisecond, most: 5 * time.Second}
	for ctx.Err() == nil {
		heard, err := g.listenOnce(ctx)
		if heard {
			retry.reset()
		}
		if ctx.Err() != nil {
			return
		}
		g.log.Warn("the feed broke off", "error", err)
		retry.wait(ctx)
	}
}

// listenOnce opens the feed and takes in its frames until it breaks off, is silent or has a gap.
func (g *Guard) listenOnce(ctx context.Context) (heard bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(callTimeout, cancel)
	defer silence.Stop()
	if err := g.keys.refresh(ctx); err != nil {
		return false, err
	}
	resp, err := g.authority.open(ctx, g.witnessed())
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, &answerError{Status: resp.StatusCode}
	}
	l := listener{g: g}
	frames := bufio.NewScanner(resp.Body)
	frames.Buffer(make([]byte, 0, 8<<10), frameLimit)
	var data []byte
	for frames.Scan() {
		line := frames.Bytes()
		if value, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = append(data, bytes.TrimSpace(value)...)
			continue
		}
		if len(line) > 0 || len(data) == 0 { // id, event, comments: the signed data says it all
			continue
		}
		if err := l.frame(ctx, string(data)); err != nil {
			return heard, err
		}
		data, heard = data[:0], true
		silence.Reset(g.ends.staleAfter / 2)
		if err := g.keys.refresh(ctx); err != nil {
			g.log.Warn("the keys could not be refreshed", "error", err)
		}
	}
	return heard, errors.Join(frames.Err(), errors.New("resource: the feed ended"))
}

// listener takes in the frames of one connection.
type listener struct {
	g       *Guard
	started bool
	seq     int64
}

// frame verifies one frame and takes it in. Only what verifies counts as having heard the feed.
func (l *listener) frame(ctx context.Context, raw string) error {
	g := l.g
	var set tokens.SET
	if _, err := g.keys.verify(ctx, func(k tokens.KeySet) (err error) {
		set, err = k.VerifySET(raw, g.issuer, g.resource)
		return err
	}); err != nil {
		return err
	}
	if g.ends.isKilled(set.KeyID) {
		return errKilled
	}
	if set.IssuedAt.After(g.now().Add(ahead)) {
		return errors.New("resource: a frame from the future")
	}
	if len(set.Events) != 1 {
		return errors.New("resource: a frame must tell one thing")
	}
	for uri, payload := range set.Events {
		kind, ok := strings.CutPrefix(uri, eventURI)
		if !ok {
			return fmt.Errorf("resource: unknown event %q", uri)
		}
		if err := l.take(ctx, kind, set.KeyID, payload); err != nil {
			return err
		}
	}
	g.ends.hear(set.IssuedAt)
	return nil
}

func (l *listener) take(ctx context.Context, kind, signer string, payload []byte) error {
	switch {
	case kind == eventSnapshot:
		return l.snapshot(payload)
	case !l.started:
		return errors.New("resource: the feed did not begin with a snapshot")
	case kind == eventBeat:
		return l.beat(payload)
	}
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return err
	}
	if e.Seq != l.seq+1 {
		return fmt.Errorf("%w: %d after %d", errGap, e.Seq, l.seq)
	}
	if kind == eventKilled && e.KID == signer { // only a survivor tells of a death
		return errKilled
	}
	l.g.ends.apply(kind, e)
	l.seq = e.Seq
	l.g.acknowledge(l.seq)
	return nil
}

func (l *listener) snapshot(payload []byte) error {
	var s snapshot
	if err := json.Unmarshal(payload, &s); err != nil {
		return err
	}
	l.g.ends.reset(s)
	l.started, l.seq = true, s.Seq
	l.g.acknowledge(l.seq)
	return nil
}

func (l *listener) beat(payload []byte) error {
	var b beat
	if err := json.Unmarshal(payload, &b); err != nil {
		return err
	}
	if b.Seq > l.seq {
		return fmt.Errorf("%w: a beat at %d after %d", errGap, b.Seq, l.seq)
	}
	l.g.ends.forget()
	if b.Checkpoint != "" {
		l.g.witness(b.Checkpoint)
	}
	return nil
}

// acknowledge tells the authorization server, soon, that everything up to seq is in force here.
func (g *Guard) acknowledge(seq int64) {
	g.acked.Store(seq)
	select {
	case g.ack <- struct{}{}:
	default: // one is under way; it will take the newest
	}
}

// sendAcks sends the newest acknowledgement until ctx ends.
func (g *Guard) sendAcks(ctx context.Context) {
	retry := backoff{least: 100 * time.Millisecond, most: 5 * time.Second}
	for {
		select {
		case <-g.ack:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil {
			in := struct {
				Seq     int64  `json:"seq"`
				Replica string `json:"replica,omitempty"`
			}{g.acked.Load(), g.authority.replica}
			err := g.authority.call(ctx, http.MethodPost, g.authority.Ack, in, nil)
			if err == nil {
				retry.reset()
				break
			}
			g.log.Warn("the feed could not be acknowledged", "error", err)
			retry.wait(ctx)
		}
	}
}
