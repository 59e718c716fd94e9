package server

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// What ?key= may be.
const (
	keyBound   = "bound"
	keyUnbound = "unbound"
)

// errToolAmongAll is for a filter that would read the grants of every task there ever was.
var errToolAmongAll = &problem{Status: http.StatusBadRequest, Detail: "a tool is looked for among live tasks, or those of one user or client: name one, or set live=true"}

// tasksWanted is the filter of tasks that the parameters of GET /admin/api/tasks say.
func (s *Server) tasksWanted(ctx context.Context, q url.Values) (store.TaskFilter, error) {
	f := store.TaskFilter{
		ClientID: q.Get("client"), Resource: q.Get("resource"), Tool: q.Get("tool"), State: store.TaskState(q.Get("state")), Live: q.Get("live") == "true",
		Bound: q.Get("key") == keyBound, Unbound: q.Get("key") == keyUnbound,
	}
	user, live := q.Get("user"), f.Live || f.State != "" && !f.State.Terminal()
	switch {
	case f.State != "" && !slices.Contains(taskStates, f.State):
		return f, bad("state is pending, active, suspended, completed, revoked or expired")
	case q.Get("key") != "" && !f.Bound && !f.Unbound:
		return f, bad("key is bound or unbound")
	case f.Tool != "" && !live && !f.Unbound && user+f.ClientID == "":
		return f, errToolAmongAll
	}
	if user != "" {
		u, err := s.userNamed(ctx, user)
		if err != nil {
			return f, err
		}
		f.UserID = u.ID
	}
	return f, nil
}

// taskQuery is the filter of the console's tasks, as its address says it. No state is those that live.
type taskQuery struct{ user, client, tool, resource, key, state string }

func readTaskQuery(q url.Values) taskQuery {
	trimmed := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	return taskQuery{trimmed(web.FieldUser), trimmed(web.FieldClient), trimmed(web.FieldTool), q.Get(web.FieldResource), q.Get(web.FieldKey), q.Get(web.FieldState)}
}

// said are the names and values of what it says.
func (q taskQuery) said() []string {
	return set([]string{
		web.FieldUser, q.user, web.FieldClient, q.client, web.FieldTool, q.tool,
		web.FieldResource, q.resource, web.FieldKey, q.key, web.FieldState, q.state,
	})
}

// wanted says the same to the admin API.
func (q taskQuery) wanted() url.Values {
	v := url.Values{"user": {q.user}, "client": {q.client}, "resource": {q.resource}, "tool": {q.tool}, "key": {q.key}}
	switch q.state {
	case "":
		v.Set("live", "true")
	case anyState:
	default:
		v.Set("state", q.state)
	}
	return v
}

// line is the command that lists the same, or does something else with it.
func (q taskQuery) line(verb string, flags ...string) string {
	v := q.wanted()
	line := cli(verb, nil, append(flags, "--user", q.user, "--client", q.client, "--resource", q.resource, "--tool", q.tool, "--state", v.Get("state"))...)
	switch q.key {
	case keyBound:
		line += " --bound"
	case keyUnbound:
		line += " --unbound"
	}
	if v.Get("live") != "" {
		line += " --live"
	}
	return line
}

// taskFilter is the form of the filter, as it stands.
func (s *Server) taskFilter(ctx context.Context, q taskQuery) (web.Filter, error) {
	resources, err := s.store.Resources(ctx)
	if err != nil {
		return web.Filter{}, err
	}
	option := func(value, text, chosen string) web.Option {
		return web.Option{Value: value, Text: text, Selected: value == chosen}
	}
	places := web.Pick{Name: web.FieldResource, Label: say(ctx, "Resource"), Options: []web.Option{option("", say(ctx, textAnyResource), q.resource)}}
	for _, res := range resources {
		places.Options = append(places.Options, option(res.URI, res.Name, q.resource))
	}
	keys := web.Pick{Name: web.FieldKey, Label: say(ctx, "Key"), Options: []web.Option{
		option("", say(ctx, textAnyKey), q.key), option(keyBound, say(ctx, textBound), q.key), option(keyUnbound, say(ctx, textUnbound), q.key),
	}}
	states := web.Pick{Name: web.FieldState, Label: say(ctx, "State"), Options: []web.Option{option("", say(ctx, textLive), q.state)}}
	for _, st := range taskStates {
		states.Options = append(states.Options, option(string(st), say(ctx, textConsoleStates[st]), q.state))
	}
	states.Options = append(states.Options, option(anyState, say(ctx, textAnyState), q.state))
	f := web.Filter{
		Action: s.base + "/admin", Picks: []web.Pick{places, keys, states},
		Texts: []web.TextField{
			{Name: web.FieldUser, Label: say(ctx, "User (e-mail or id)"), Value: q.user},
			{Name: web.FieldClient, Label: say(ctx, "Client (client_id)"), Value: q.client},
			{Name: web.FieldTool, Label: say(ctx, "Tool"), Value: q.tool},
		},
	}
	s.narrowed(&f, "/admin", q.said())
	return f, nil
}

// narrowed adds to a filter what it stands on now, one answer at a time, each with the way to the page
// without it.
func (s *Server) narrowed(f *web.Filter, path string, said []string) {
	for i := 0; i+1 < len(said); i += 2 {
		name, value := said[i], said[i+1]
		f.Active = append(f.Active, web.Active{
			Text:    f.Said(name, value),
			Without: s.at(path, slices.Concat(said[:i], said[i+2:])...),
		})
		f.Clear = s.base + path
	}
}
