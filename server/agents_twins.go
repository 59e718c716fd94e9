package server

import (
	"context"
	"slices"
	"strings"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/provider"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// An app that registers itself does so anew for each sign-in, as often as it likes: its tasks would be
// those of so many apps. They stand together, and the page says how many there are. It is a guess by
// what the app says of itself, so nothing but the order hangs on it.

// twin is what registrations of one app have in common; "" for clients that are known for certain.
func twin(c store.Client) string {
	if c.Origin != store.ByRegistration {
		return ""
	}
	var hosts []string
	for _, uri := range c.Metadata.RedirectURIs {
		host := redirectHost(uri)
		if where, _ := redirectLeads(uri); where == leadsLocal {
			host = leadsLocal // any port
		}
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	return c.Metadata.ClientName + "\n" + strings.Join(slices.Compact(hosts), "\n")
}

// twins counts the registrations of each app among the tasks' clients.
func (b *taskBook) twins() map[string]int {
	counted := map[string]int{}
	for _, c := range b.clients {
		if key := twin(c); key != "" {
			counted[key]++
		}
	}
	return counted
}

// together puts the tasks of one app that registered itself side by side, at the place of the first.
func (b *taskBook) together(tasks []store.Task) []store.Task {
	first := map[string]int{}
	place := make(map[string]int, len(tasks))
	for i, t := range tasks {
		place[t.ID] = i
		if key := twin(b.clients[t.ClientID]); key != "" {
			if _, seen := first[key]; !seen {
				first[key] = i
			}
			place[t.ID] = first[key]
		}
	}
	tasks = slices.Clone(tasks)
	slices.SortStableFunc(tasks, func(x, y store.Task) int { return place[x.ID] - place[y.ID] })
	return tasks
}

// uses says when the task was used last, whether it goes on without its user, and how often its app
// has registered itself.
func (b *taskBook) uses(ctx context.Context, t store.Task, row *web.TaskRow) {
	client := b.clients[t.ClientID]
	if t.SeenAt.After(t.ActivatedAt) && !t.ActivatedAt.IsZero() {
		row.LastUsed = clock(ctx, t.SeenAt)
	}
	row.Offline = !t.State.Terminal() && provider.MayUse(client, oauth.GrantRefreshToken)
	if n := b.registered[twin(client)]; n > 1 {
		row.Twins = say(ctx, textTwins, n)
	}
}

const textTwins = "Registered itself %d times"
