// Package notify tells users, by e-mail or in another way, what waits for them: a call that needs their yes, an agent that
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

// Queue sends what users are told, so that no request waits for a server of others. What does not fit,
// or cannot be sent, is logged and forgotten. A nil Queue sends nothing.
type Queue struct {
	sender  Sender
	log     *slog.Logger
	pending chan job
	done    sync.WaitGroup
	stop    context.CancelFunc
}

// job tells one user one thing.
type job struct {
	about string
	do    func(context.Context) error
}

// Start returns a queue that sends messages, one after the other, until Close.
func Start(sender Sender, log *slog.Logger) *Queue {
	q := Open(1, log)
	q.sender = sender
	return q
}

// Open returns a queue that does what it is told to, so many things at once, until Close.
func Open(workers int, log *slog.Logger) *Queue {
	ctx, stop := context.WithCancel(context.Background())
	q := &Queue{log: log, pending: make(chan job, waiting), stop: stop}
	for range workers {
		q.done.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case j := <-q.pending:
					q.run(ctx, j)
				}
			}
		})
	}
	return q
}

func (q *Queue) run(ctx context.Context, j job) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := j.do(ctx); err != nil {
		q.log.Warn("a user was not told", "about", j.about, "err", err)
	}
}

// Tell takes a message and returns at once.
func (q *Queue) Tell(m Message) {
	if q == nil || m.To == "" {
		return
	}
	q.Do(m.Subject, func(ctx context.Context) error { return q.sender.Send(ctx, m) })
}

// Do takes something to do and returns at once.
func (q *Queue) Do(about string, do func(context.Context) error) {
	if q == nil {
		return
	}
	select {
	case q.pending <- job{about, do}:
	default:
		q.log.Warn("a user was not told: too many messages wait", "about", about)
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
