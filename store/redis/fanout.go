package redis

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"

	goredis "github.com/redis/go-redis/v9"
)

// Fanout carries hints over one channel of publish and subscribe.
type Fanout struct {
	client  goredis.UniversalClient
	channel string
	self    string // this instance's name: it hears nothing from itself
	queue   chan string
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// waiting is how many hints may wait for the network before more are dropped.
const waiting = 1024

// Fanout returns the hints of the instances that share this memory. It needs the memory's
// connections, and is closed before them.
func (e *Ephemeral) Fanout() *Fanout {
	ctx, stop := context.WithCancel(context.Background())
	f := &Fanout{client: e.client, channel: e.prefix + ":feeds", self: rand.Text(), queue: make(chan string, waiting), stop: stop}
	f.done.Go(func() { f.publish(ctx) })
	return f
}

// Announce tells the other instances, some time soon; what finds no room is dropped.
func (f *Fanout) Announce(resources ...string) {
	for _, r := range resources {
		select {
		case f.queue <- r:
		default:
			return
		}
	}
}

// publish sends what waits, as much as there is at once.
func (f *Fanout) publish(ctx context.Context) {
	for {
		var first string
		select {
		case <-ctx.Done():
			return
		case first = <-f.queue:
		}
		told := map[string]bool{first: true}
		for len(told) < 100 && len(f.queue) > 0 {
			told[<-f.queue] = true
		}
		pipe := f.client.Pipeline()
		for r := range told {
			pipe.Publish(ctx, f.channel, f.self+"\n"+r)
		}
		_, _ = pipe.Exec(ctx) // a hint may be lost
	}
}

// Listen calls heard with every resource that another instance announces. With every connection made
// anew it says that announcements may have been missed.
func (f *Fanout) Listen(heard func(resource string)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	sub := f.client.Subscribe(ctx, f.channel)
	messages := sub.ChannelWithSubscriptions()
	var done sync.WaitGroup
	done.Go(func() {
		for m := range messages {
			switch m := m.(type) {
			case *goredis.Subscription:
				heard("")
			case *goredis.Message:
				if from, resource, ok := strings.Cut(m.Payload, "\n"); ok && from != f.self {
					heard(resource)
				}
			}
		}
	})
	return func() {
		cancel()
		sub.Close()
		done.Wait()
	}
}

// Close stops sending.
func (f *Fanout) Close() error {
	f.stop()
	f.done.Wait()
	return nil
}
