package postgres

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

const eventColumns = `resource, seq, kind, task_id, jti, state, reason, at`

func eventFields(e *store.Event) []any {
	return []any{&e.Resource, &e.Seq, &e.Kind, &e.TaskID, &e.JTI, &e.State, &e.Reason, at(&e.At)}
}

func scanEvents(into *[]store.Event) func(func(...any) error) error {
	return func(scan func(...any) error) error {
		var e store.Event
		err := scan(eventFields(&e)...)
		*into = append(*into, e)
		return err
	}
}

const feedSinceSQL = `SELECT ` + eventColumns + ` FROM feed WHERE resource = $1 AND seq > $2 ORDER BY seq LIMIT $3`

// FeedSince returns the events after seq, oldest first, at most limit.
func (s *Store) FeedSince(ctx context.Context, resource string, seq int64, limit int) (events []store.Event, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(feedSinceSQL, []any{resource, seq, limit}, scanEvents(&events))
	})
	return events, err
}

const (
	feedHeadSQL   = `SELECT seq FROM feed_heads WHERE resource = $1`
	feedRecentSQL = `SELECT ` + eventColumns + ` FROM feed WHERE resource = $1 AND at >= $2 ORDER BY seq`
)

// FeedSnapshot returns the newest sequence and the events since then that still matter.
func (s *Store) FeedSnapshot(ctx context.Context, resource string, since time.Time) (seq int64, events []store.Event, err error) {
	var recent []store.Event
	err = s.snapshot(ctx, func(c *conn) {
		recent = nil
		c.ask(feedHeadSQL, []any{resource}, func(scan func(...any) error) error { return scan(&seq) })
		c.ask(feedRecentSQL, []any{resource, micros(since)}, scanEvents(&recent))
	})
	return seq, thatMatter(recent), err
}

// thatMatter leaves out suspensions that were followed by a resumption, another suspension or the
// end, and the resumptions.
func thatMatter(events []store.Event) []store.Event {
	last := make(map[string]int64) // by task, its newest event but for revocations of tokens
	for _, e := range events {
		if e.Kind != store.EventTokenRevoked {
			last[e.TaskID] = e.Seq
		}
	}
	var kept []store.Event
	for _, e := range events {
		switch e.Kind {
		case store.EventTaskEnded, store.EventTokenRevoked:
			kept = append(kept, e)
		case store.EventTaskSuspended:
			if last[e.TaskID] == e.Seq {
				kept = append(kept, e)
			}
		}
	}
	return kept
}

const (
	holdGuardSQL = `SELECT 1 FROM guards WHERE resource = $1 FOR NO KEY UPDATE`
	ackEventsSQL = `UPDATE feed SET acked_at = $2 WHERE resource = $1 AND acked_at = 0
AND seq > (SELECT ack_seq FROM guards WHERE resource = $1) AND seq <= $3`
	ackFeedSQL  = `UPDATE guards SET ack_seq = GREATEST(ack_seq, $2) WHERE resource = $1`
	ackedNowSQL = `UPDATE guards SET ack_at = $2 WHERE resource = $1`
)

const taskEndingsSQL = `SELECT ` + eventColumns + `, acked_at,
	COALESCE((SELECT MAX(expires_at) FROM access_tokens a WHERE a.task_id = f.task_id AND a.resource = f.resource), 0)
FROM feed f WHERE f.task_id = ANY($1) AND f.kind = 'task.ended'`

// TaskEndings returns how the resources of these tasks were told of their ends.
func (s *Store) TaskEndings(ctx context.Context, taskIDs ...string) (endings []store.Ending, err error) {
	type leg struct{ task, resource string }
	newest := make(map[leg]int)
	err = s.read(ctx, func(c *conn) error {
		return c.each(taskEndingsSQL, []any{taskIDs}, func(scan func(...any) error) error {
			var e store.Ending
			err := scan(append(eventFields(&e.Event), at(&e.AckedAt), at(&e.LastToken))...)
			l := leg{e.TaskID, e.Resource}
			switch i, told := newest[l]; {
			case !told:
				newest[l] = len(endings)
				endings = append(endings, e)
			case e.Seq > endings[i].Seq:
				endings[i] = e
			}
			return err
		})
	})
	return endings, err
}
