package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/remit-auth/remit/tokens/agent"
)

// play is the scene: each act tells its lines, and the script judges them.
func (s *scene) play(ctx context.Context) error {
	s.say.text("", s.say.paint(bold, "Remit demo")+"   DEV MODE, loopback only")
	s.say.text("authorization server   "+s.issuer, "MCP server \"Tickets\"   "+s.mcpURL+"   5 tools", "agent's key            "+s.agent.key.JKT())
	request, err := s.ask(ctx)
	if err != nil {
		return err
	}
	for _, act := range []func(context.Context) error{
		func(ctx context.Context) error { return s.consent(ctx, request) },
		s.work, s.theft, s.finish, s.ledger,
	} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

// check counts a judgement of the script; in a scene with a person nothing is judged.
func (s *scene) check(what string, judge func() error) error {
	if !s.Script {
		return nil
	}
	s.checks++
	if err := judge(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// ask is the agent's way to the consent page.
func (s *scene) ask(ctx context.Context) (agent.Request, error) {
	s.say.heading("The agent finds its way")
	found, err := s.agent.discover(ctx, s.clientID, s.mcpURL)
	if err != nil {
		return agent.Request{}, err
	}
	s.say.line("agent", "calls Tickets without a token", "401, and where its metadata is")
	s.say.line("agent", "found the authorization server", found.Server.Issuer)
	if err := s.check("discovery", func() error { return s.judgeDiscovery(ctx) }); err != nil {
		return agent.Request{}, err
	}
	r, err := s.agent.client.Push(ctx, askFor(found.Resource))
	if err != nil {
		return r, err
	}
	s.say.line("agent", "pushed its request, signed with its key", "5 tools, project WEB, 30 min")
	return r, s.check("push", func() error { return s.judgePush(ctx, r) })
}

// consent is the person's part.
func (s *scene) consent(ctx context.Context, r agent.Request) error {
	s.say.heading("You decide")
	page := s.agent.client.AuthorizeURL(r)
	if s.Script {
		if err := s.check("consent page", func() error { return s.decide(ctx, page) }); err != nil {
			return err
		}
	} else {
		s.invite(page)
	}
	code, err := s.agent.wait(ctx, r)
	if e, refused := errors.AsType[*agent.Error](err); refused {
		s.say.refused("you", "did not allow it", e.Code)
		return errors.New("nothing was granted")
	}
	if err != nil {
		return err
	}
	if err := s.agent.accept(ctx, r, code, s.mcpURL); err != nil {
		return err
	}
	t := s.agent.session.Held()
	var names []string
	for _, d := range t.Details.Tools {
		names = append(names, d.Tool)
	}
	s.say.allowed("you", fmt.Sprintf("allowed %d of 5 tools", len(names)), strings.Join(names, ", "))
	s.say.line("agent", "has a token for "+t.TaskID[:12]+"…", fmt.Sprintf("bound to its key, good for at most %d s", (int(t.Expires.Sub(t.Issued).Seconds())+9)/10*10))
	return s.check("token", func() error { return s.judgeToken(ctx, t) })
}

// errand is one call of the scene and how the script expects it to go.
type errand struct {
	tool      string
	what      string
	arguments map[string]any
	want      string // code of the refusal; empty: allowed
}

// errands are what the agent does with the task.
var errands = []errand{
	{"search_tickets", "project WEB", map[string]any{"project": "WEB", "limit": 20}, ""},
	{"get_ticket", "WEB-118", map[string]any{"project": "WEB", "id": "WEB-118"}, ""},
	{"add_comment", "WEB-118", map[string]any{"project": "WEB", "id": "WEB-118", "text": "Safari 26 blocks the pop-up; reproduced."}, ""},
	{"search_tickets", "project OPS", map[string]any{"project": "OPS", "limit": 20}, "argument_limit"},
	{"delete_ticket", "WEB-090", map[string]any{"project": "WEB", "id": "WEB-090"}, "scope"},
}

// work is the agent's use of the task: calls within it, and two beyond.
func (s *scene) work(ctx context.Context) error {
	s.say.heading("The agent works, and overreaches")
	if err := s.check("tools/list", func() error { return s.judgeList(ctx) }); err != nil {
		return err
	}
	for _, e := range errands {
		o, err := s.agent.call(ctx, e.tool, e.arguments)
		if err != nil {
			return err
		}
		s.decided++
		if s.tell(e.tool, e.what, e.tool, o); !o.Allowed {
			s.say.quiet(pad("", 16) + " " + o.Message)
		}
		err = s.check(e.tool+" "+e.what, func() error {
			if o.Allowed != (e.want == "") || o.Code != e.want || o.Failed != "" {
				return fmt.Errorf("allowed %v, refusal %q, tool error %q; want refusal %q", o.Allowed, o.Code, o.Failed, e.want)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.check("tickets", s.judgeDesk)
}

func (o outcome) refusal() string {
	s := fmt.Sprintf("%d %s", o.Status, o.Error)
	if o.Code != "" && o.Code != o.Error {
		s += " (" + strings.ReplaceAll(o.Code, "_", " ") + ")"
	}
	return s
}

// summary is what a call brought, in a few words.
func summary(tool string, o outcome) string {
	if o.Failed != "" {
		return o.Failed
	}
	var r struct {
		Tickets []struct{}
		Title   string
		Done    string
	}
	if json.Unmarshal(o.Result, &r) != nil {
		return "done"
	}
	if tool == "search_tickets" {
		return fmt.Sprintf("%d open bugs", len(r.Tickets))
	}
	return r.Title + r.Done
}

// theft is the second process with the leaked token.
func (s *scene) theft(ctx context.Context) error {
	s.say.heading("A thief has the token, and not the key")
	t := s.agent.session.Held()
	arguments := map[string]any{"project": "WEB", "id": "WEB-118"}
	tries, err := steal(s.Command(ctx, s.dir, "demo-thief"), loot{s.mcpURL, t.Access, "get_ticket", arguments})
	if err != nil {
		return err
	}
	for _, a := range tries {
		tell := s.say.refused
		if a.Status == 200 {
			tell = s.say.allowed
		}
		tell("thief", a.How, fmt.Sprintf("%d %s", a.Status, a.Error))
	}
	if err := s.check("theft", func() error { return judgeTheft(tries) }); err != nil {
		return err
	}
	o, err := s.agent.call(ctx, "get_ticket", arguments)
	if err != nil {
		return err
	}
	s.decided++
	s.tell("agent", "goes on with the same token", "get_ticket", o)
	return s.check("the agent after the theft", func() error {
		if !o.Allowed {
			return fmt.Errorf("refused with %s", o.refusal())
		}
		return nil
	})
}

// tell tells how a call went.
func (s *scene) tell(who, what, tool string, o outcome) {
	if o.Allowed {
		s.say.allowed(who, what, summary(tool, o))
		return
	}
	s.say.refused(who, what, o.refusal())
}

// finish ends the task, and shows that what the agent still holds is dead.
func (s *scene) finish(ctx context.Context) error {
	s.say.heading("The task is finished, the token is dead")
	arguments := map[string]any{"project": "WEB", "id": "WEB-118"}
	if err := s.agent.session.CompleteTask(ctx); err != nil {
		return err
	}
	var o outcome
	took, err := within(ctx, 2*time.Second, func() (bool, error) { // promise P1
		var err error
		o, err = s.agent.call(ctx, "get_ticket", arguments)
		return o.Status == http.StatusUnauthorized, err
	})
	if err != nil {
		return fmt.Errorf("a call after the end of the task: %w", err)
	}
	s.say.allowed("agent", "says that it has finished", fmt.Sprintf("dead at Tickets %d ms later", took.Milliseconds()))
	s.say.refused("get_ticket", "WEB-118, same token, same key", o.refusal())
	_, err = s.agent.client.Refresh(ctx, s.agent.session.Held())
	if e, ok := errors.AsType[*agent.Error](err); ok {
		s.say.refused("agent", "tries its refresh token", fmt.Sprintf("%d %s", e.Status, e.Code))
	}
	return s.check("the dead token", func() error {
		e, ok := errors.AsType[*agent.Error](err)
		if !ok || e.Code != "invalid_grant" {
			return fmt.Errorf("refresh: %v, want invalid_grant", err)
		}
		return s.judgeDead(ctx, o)
	})
}

// ledger is the end: what the log says, and that it holds.
func (s *scene) ledger(ctx context.Context) error {
	s.say.heading("The ledger")
	told, err := s.story(ctx)
	if err != nil {
		return err
	}
	s.say.line("remit", "audit tail", told.String())
	v, err := s.verify(ctx)
	if err != nil {
		return err
	}
	if v.OK {
		s.say.allowed("remit", "audit verify", fmt.Sprintf("%d records, head %.16s…", v.Records, v.Head))
	} else {
		s.say.refused("remit", "audit verify", "the ledger does not hold")
	}
	return s.check("ledger", func() error { return judgeLedger(v, told) })
}

// stay tells what can be looked at while the servers run.
func (s *scene) stay() {
	s.say.text("", "Everything is still running. Look around:")
	s.say.text("your agents   " + s.issuer + "/agents   (" + maraEmail + ", " + s.password + ")")
	s.say.text("the ledger    REMIT_DATA_DIR=" + s.dir + " remit audit tail")
	s.say.quiet("Ctrl-C stops the demo and removes its data.")
}
