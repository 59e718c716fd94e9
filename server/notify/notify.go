// Package notify tells users by e-mail what waits for them: a call that needs their yes, an agent that
// they let work for the first time. What it sends holds no arguments, no token and no secret; the one
// link in it leads to a page that asks who is there. A message may be late or lost: nothing but a
// person's attention depends on it.
//
//	notify.go  the queue
//	mail.go    one message, over SMTP   RFC 5321, RFC 5322, RFC 3207
package notify

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Message is one note to one user.
type Message struct {
	To      string // e-mail address
	Subject string
	Text    string // plain text; lines are kept
}

// Sender sends one message.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Bounds of the queue.
const (
	waiting  = 256
	patience = 20 * time.Second // for one message
)

// Queue sends messages one after the other, so that no request waits for a mail server. What does not
// fit, or cannot be sent, is logged and forgotten. A nil Queue sends nothing.
type Queue struct {
	sender  Sender
	log     *slog.Logger
	pending chan Message
	done    sync.WaitGroup
	stop    context.CancelFunc
}

// Start returns a queue that sends until Close.
func Start(sender Sender, log *slog.Logger) *Queue {
	ctx, stop := context.WithCancel(context.Background())
	q := &Queue{sender: sender, log: log, pending: make(chan Message, waiting), stop: stop}
	q.done.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case m := <-q.pending:
				q.send(ctx, m)
			}
		}
	})
	return q
}

func (q *Queue) send(ctx context.Context, m Message) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := q.sender.Send(ctx, m); err != nil {
		q.log.Warn("a user was not told", "subject", m.Subject, "err", err)
	}
}

// Tell takes a message and returns at once.
func (q *Queue) Tell(m Message) {
	if q == nil || m.To == "" {
		return
	}
	select {
	case q.pending <- m:
	default:
		q.log.Warn("a user was not told: too many messages wait", "subject", m.Subject)
	}
}

// Close gives up what waits and returns when nothing is being sent.
func (q *Queue) Close() {
	if q == nil {
		return
	}
	q.stop()
	q.done.Wait()
}
