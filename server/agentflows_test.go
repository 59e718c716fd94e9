package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	agents "github.com/remit-auth/remit/tokens/agent"
)

// TestAgentFlows plays the flows of package agent against the server.
func TestAgentFlows(t *testing.T) {
	w, enterprise, _ := trustWorld(t)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	a := w.grantClient("Agent")
	client := func() *agents.Client {
		key, err := tokens.NewProofKey()
		must(t, err)
		c, err := agents.NewClient(agents.Config{
			ClientID: a.client, Secret: a.secret, Resource: ticketsURI, Key: key, Now: w.clock.Now,
			Server: agents.Metadata{
				Issuer: w.issuer, AuthorizationEndpoint: w.issuer + "/authorize", TokenEndpoint: w.issuer + "/token", PAREndpoint: w.issuer + "/par",
				DeviceEndpoint: w.issuer + "/device", CodeChallengeMethods: []string{"S256"}, DPoPAlgs: []string{"ES256"}, TaskEndpoint: w.issuer + "/tasks/",
			},
		})
		must(t, err)
		return c
	}
	read := agents.Ask{Scopes: []string{"tickets.read"}}

	own, err := client().Own(ctx, read)
	must(t, err)
	if c := w.claims(own.Access); c.Subject != a.client {
		t.Errorf("own: %+v", c)
	}

	present, err := client().Present(ctx, enterprise.sign("oauth-id-jag+jwt", w.idJAG(enterprise, a)), read)
	must(t, err)
	if c := w.claims(present.Access); c.Subject != w.user.ID {
		t.Errorf("present: %+v", c)
	}

	headless := client()
	device, err := headless.AskDevice(ctx, read)
	must(t, err)
	page := w.mara().typeCode(device.UserCode)
	if got := w.mara().answerDevice(page, "allow", "search_tickets"); got.Status != 200 {
		t.Fatalf("allow: %d %s", got.Status, got.Body)
	}
	device.Interval = time.Millisecond
	token, err := headless.Await(ctx, device)
	must(t, err)

	session, sub := headless.Session(token), client()
	delegation, err := session.Delegate(ctx, sub.Key.JKT())
	must(t, err)
	child, err := sub.Take(ctx, delegation, agents.Ask{})
	must(t, err)
	if c := w.claims(child.Access); c.Act == nil || c.Task.ID == token.TaskID {
		t.Errorf("take: %+v", c)
	}
	if _, err := client().Take(ctx, delegation, agents.Ask{}); err == nil {
		t.Error("a delegation was taken by another key")
	}
	must(t, session.CompleteTask(ctx))
	if task, _, err := w.store.TaskByID(ctx, child.TaskID); err != nil || task.State != store.TaskCompleted {
		t.Errorf("the sub-task is %s, %v", task.State, err)
	}
}
