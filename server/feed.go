package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

const (
	// eventNames is the URI that the names of our SET events begin with (RFC 8417 §2.2).
	eventNames = "https://remit-auth.github.io/events/"
	// beatEvery is how often a Guard hears that there is nothing new.
	beatEvery = 2 * time.Second
	// snapshotSpan reaches further back than any access token lives, clocks being 30 s apart.
	snapshotSpan = 330 * time.Second
	// frameDeadline is how long a listener may take to receive one frame.
	frameDeadline = 5 * time.Second
	// feedLife is how long one connection lasts; the Guard then authenticates again.
	feedLife = time.Hour
)

// feed serves GET /feed: signed SETs (RFC 8417) as server-sent events. The first frame is a
// snapshot; then every event of the resource in sequence; and a beat every two seconds.
func (s *Server) feed(w http.ResponseWriter, r *http.Request) error {
	res, err := s.authenticateGuard(r)
	if err != nil {
		return err
	}
	if err := s.hearWitness(r); err != nil {
		return err
	}
	ear, err := earOf(r)
	if err != nil {
		return err
	}
	s.feeds.Add(1)
	defer s.feeds.Done()
	l, err := s.hubs.join(r.Context(), s, res.URI, res.GuardID)
	if err != nil {
		return err
	}
	defer l.leave()
	if err := s.stillGuard(r.Context(), res); err != nil { // an enrolment before this cut nobody who joined after it
		return err
	}
	if err := s.hears(r.Context(), res.URI, ear); err != nil {
		return err
	}
	// Read after joining: what is newer than the snapshot is already on its way to l.
	seq, first, err := s.snapshot(r.Context(), res.URI)
	if err != nil {
		return err
	}
	s.stream(r, l, ear, seq, first, startStream(w))
	return nil
}

// stream writes frames until either side goes.
func (s *Server) stream(r *http.Request, l *listener, ear ear, seq int64, first []byte, write func(frame []byte) bool) {
	life := time.NewTimer(feedLife)
	defer life.Stop()
	again := time.NewTicker(hearsEvery)
	defer again.Stop()
	ok := write(first)
	for ok {
		select {
		case f, open := <-l.frames:
			if !open {
				return // dropped: too slow, replaced, or the feed has a gap
			}
			if f.event && f.seq <= seq {
				continue // the snapshot told it
			}
			ok = write(f.bytes)
		case <-again.C:
			if err := s.hears(r.Context(), l.hub.resource, ear); err != nil {
				s.log.Error("a replica that listens was not noted", "resource", l.hub.resource, "err", err)
				return
			}
		case <-life.C:
			return
		case <-s.closing:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// snapshot is the first frame: what ended, was revoked or is suspended, as far as tokens reach back.
func (s *Server) snapshot(ctx context.Context, resource string) (int64, []byte, error) {
	now := s.now()
	seq, events, err := s.store.FeedSnapshot(ctx, resource, now.Add(-snapshotSpan))
	if err != nil {
		return 0, nil, err
	}
	// The ring is read after the sequence: what is no event of this feed any more, the ring knows.
	if err := s.ring.Reload(ctx); err != nil {
		return 0, nil, err
	}
	ring := s.ring.held.Load()
	body := snapshotEvent{
		Seq: seq, Tasks: []taskEvent{}, Tokens: []string{}, Keys: ring.killed,
		Epoch: ring.epoch.N, NotBefore: notBefore(ring.epoch), At: now.UnixMilli(),
	}
	if body.Switches, err = s.switchesAt(ctx, resource); err != nil {
		return 0, nil, err
	}
	for _, e := range events {
		switch e.Kind {
		case store.EventTokenRevoked:
			body.Tokens = append(body.Tokens, e.JTI)
		case store.EventTaskEnded, store.EventTaskSuspended:
			body.Tasks = append(body.Tasks, taskEvent{e.TaskID, e.State, e.Reason})
		}
	}
	frame, err := s.setFrame("set", resource, "snapshot", seq, body)
	return seq, frame, err
}

// snapshotEvent, feedEvent and beatEvent are what the SETs of the feed say.
type snapshotEvent struct {
	Seq    int64       `json:"seq"`
	Tasks  []taskEvent `json:"tasks"`
	Tokens []string    `json:"tokens"`
	At     int64       `json:"at"` // milliseconds
	// Keys were killed. Tokens that were issued until NotBefore, in seconds, are of an earlier epoch.
	Keys      []string `json:"keys,omitempty"`
	Epoch     int64    `json:"epoch,omitempty"`
	NotBefore int64    `json:"not_before,omitempty"`
	// Switches are all that are in force and concern the resource.
	Switches []switchEvent `json:"switches,omitempty"`
}

// notBefore is the second in which the epoch was raised; 0 when there was none.
func notBefore(e store.Epoch) int64 {
	if e.N == 0 {
		return 0
	}
	return e.At.Unix()
}

type taskEvent struct {
	Task   string          `json:"task"`
	State  store.TaskState `json:"state"`
	Reason string          `json:"reason,omitempty"`
}

type feedEvent struct {
	Seq    int64           `json:"seq"`
	Task   string          `json:"task,omitempty"`
	JTI    string          `json:"jti,omitempty"`
	State  store.TaskState `json:"state,omitempty"`
	Reason string          `json:"reason,omitempty"`
	At     int64           `json:"at"`

	Switch   *switchEvent `json:"switch,omitempty"`
	SwitchID string       `json:"switch_id,omitempty"` // that was lifted

	KID       string `json:"kid,omitempty"`
	Epoch     int64  `json:"epoch,omitempty"`
	NotBefore int64  `json:"not_before,omitempty"`
}

type beatEvent struct {
	Seq        int64  `json:"seq"`
	Checkpoint string `json:"checkpoint,omitempty"` // newest signed one, for the Guard to keep
	At         int64  `json:"at"`
}

// setFrame signs one SET and wraps it as a server-sent event.
func (s *Server) setFrame(event, resource, kind string, seq int64, body any) ([]byte, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	set, err := s.ring.Signer().SignSET(tokens.SET{
		Issuer: s.issuer, Audience: resource, ID: tokens.NewID("set_"), IssuedAt: s.now(),
		Events: map[string]json.RawMessage{eventNames + kind: raw},
	})
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", seq, event, set), nil
}

// ackFeed serves POST /feed/ack: the Guard has applied everything up to here.
func (s *Server) ackFeed(w http.ResponseWriter, r *http.Request) error {
	res, err := s.authenticateGuard(r)
	if err != nil {
		return err
	}
	var in struct {
		Seq     int64  `json:"seq"`
		Replica string `json:"replica"` // of the Guard; empty: the only one
	}
	if err := readJSON(r, oauth.MaxBody, &in); err != nil {
		return err
	}
	if in.Seq < 0 || !validReplica(in.Replica) {
		return oauth.Refuse(oauth.InvalidRequest, "seq is not a place in the feed, or replica is no name of one")
	}
	acked, err := s.store.AckFeed(r.Context(), res.URI, in.Replica, in.Seq)
	if err != nil {
		return err
	}
	s.tellAcked(r.Context(), res.URI, res.AckSeq, acked)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
