package demo

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// ticketsPolicy is the policy file of the demo's MCP server.
//
//go:embed tickets.policy.yaml
var ticketsPolicy []byte

// ticket is one line of the desk.
type ticket struct {
	ID       string   `json:"id"`
	Project  string   `json:"project"`
	Title    string   `json:"title"`
	Customer string   `json:"customer"`
	Comments []string `json:"comments,omitempty"`
}

// desk is the demo's ticket system: two projects, in memory.
type desk struct {
	mu      sync.Mutex
	tickets []ticket
	mails   int
}

func newDesk() *desk {
	return &desk{tickets: []ticket{
		{ID: "WEB-118", Project: "WEB", Title: "Sign-in button does nothing in Safari", Customer: "li@customer.example"},
		{ID: "WEB-121", Project: "WEB", Title: "Invoice PDF shows the wrong month", Customer: "sam@customer.example"},
		{ID: "WEB-126", Project: "WEB", Title: "Search is slow with umlauts", Customer: "ana@customer.example"},
		{ID: "WEB-090", Project: "WEB", Title: "Footer links to the old imprint", Customer: "jo@customer.example"},
		{ID: "OPS-007", Project: "OPS", Title: "Rotate the database password", Customer: "none"},
		{ID: "OPS-009", Project: "OPS", Title: "Disk of the build machine is full", Customer: "none"},
	}}
}

// The arguments of the five tools. Every tool names its project, so that a consent can limit it.
type (
	searchArguments struct {
		Query   string `json:"query,omitempty" jsonschema:"words that the title must contain"`
		Project string `json:"project" jsonschema:"WEB or OPS"`
		Limit   int    `json:"limit,omitempty" jsonschema:"how many tickets at most"`
	}
	ticketArguments struct {
		ID      string `json:"id" jsonschema:"number of the ticket, like WEB-118"`
		Project string `json:"project" jsonschema:"WEB or OPS"`
	}
	commentArguments struct {
		ID      string `json:"id" jsonschema:"number of the ticket, like WEB-118"`
		Project string `json:"project" jsonschema:"WEB or OPS"`
		Text    string `json:"text" jsonschema:"the comment"`
	}
	emailArguments struct {
		ID      string `json:"id" jsonschema:"number of the ticket, like WEB-118"`
		Project string `json:"project" jsonschema:"WEB or OPS"`
		Subject string `json:"subject" jsonschema:"subject of the mail"`
		Body    string `json:"body" jsonschema:"text of the mail"`
	}
	found struct {
		Tickets []ticket `json:"tickets"`
	}
	done struct {
		Done string `json:"done"`
	}
)

// NewTickets returns the demo's MCP server with fresh tickets, and its policy file: tests of the
// whole stand on them too.
func NewTickets() (server *mcp.Server, policy []byte) {
	return ticketsServer(newDesk(), "1.0.0"), slices.Clone(ticketsPolicy)
}

// ticketsServer is the MCP server. It knows nothing of authorization: the Guard stands before it.
func ticketsServer(d *desk, version string) *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "tickets", Title: "Tickets", Version: version}, nil)
	yes, no := true, false
	reads := &mcp.ToolAnnotations{ReadOnlyHint: true, DestructiveHint: &no, IdempotentHint: true, OpenWorldHint: &no}
	mcp.AddTool(s, &mcp.Tool{
		Name: "search_tickets", Title: "Search tickets", Description: "Finds open tickets of a project by words in their title.", Annotations: reads,
	}, d.search)
	mcp.AddTool(s, &mcp.Tool{
		Name: "get_ticket", Title: "Read a ticket", Description: "Shows one ticket with its comments.", Annotations: reads,
	}, d.get)
	mcp.AddTool(s, &mcp.Tool{
		Name: "add_comment", Title: "Comment on a ticket", Description: "Adds a comment to a ticket. Nothing is changed or removed.",
		Annotations: &mcp.ToolAnnotations{DestructiveHint: &no, OpenWorldHint: &no},
	}, d.comment)
	mcp.AddTool(s, &mcp.Tool{
		Name: "email_customer", Title: "E-mail the customer", Description: "Sends a mail to the customer who opened the ticket.",
		Annotations: &mcp.ToolAnnotations{DestructiveHint: &no, OpenWorldHint: &yes},
	}, d.email)
	mcp.AddTool(s, &mcp.Tool{
		Name: "delete_ticket", Title: "Delete a ticket", Description: "Removes a ticket and its comments for ever.",
		Annotations: &mcp.ToolAnnotations{DestructiveHint: &yes, IdempotentHint: true, OpenWorldHint: &no},
	}, d.remove)
	return s
}

func (d *desk) search(_ context.Context, _ *mcp.CallToolRequest, in searchArguments) (*mcp.CallToolResult, found, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := found{Tickets: []ticket{}}
	for _, t := range d.tickets {
		if t.Project == in.Project && strings.Contains(strings.ToLower(t.Title), strings.ToLower(in.Query)) && (in.Limit <= 0 || len(out.Tickets) < in.Limit) {
			out.Tickets = append(out.Tickets, t)
		}
	}
	return nil, out, nil
}

func (d *desk) get(_ context.Context, _ *mcp.CallToolRequest, in ticketArguments) (*mcp.CallToolResult, ticket, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, err := d.find(in.ID, in.Project)
	if err != nil {
		return nil, ticket{}, err
	}
	return nil, d.tickets[i], nil
}

func (d *desk) comment(_ context.Context, _ *mcp.CallToolRequest, in commentArguments) (*mcp.CallToolResult, done, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, err := d.find(in.ID, in.Project)
	if err != nil {
		return nil, done{}, err
	}
	d.tickets[i].Comments = append(slices.Clone(d.tickets[i].Comments), in.Text)
	return nil, done{fmt.Sprintf("comment %d on %s", len(d.tickets[i].Comments), in.ID)}, nil
}

func (d *desk) email(_ context.Context, _ *mcp.CallToolRequest, in emailArguments) (*mcp.CallToolResult, done, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, err := d.find(in.ID, in.Project)
	if err != nil {
		return nil, done{}, err
	}
	d.mails++ // the demo sends none
	return nil, done{"mail to " + d.tickets[i].Customer}, nil
}

func (d *desk) remove(_ context.Context, _ *mcp.CallToolRequest, in ticketArguments) (*mcp.CallToolResult, done, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, err := d.find(in.ID, in.Project)
	if err != nil {
		return nil, done{}, err
	}
	d.tickets = slices.Delete(d.tickets, i, i+1)
	return nil, done{in.ID + " removed"}, nil
}

// find looks a ticket up by number and project: the project of the arguments is the one that a
// consent limits, so it must be the ticket's own.
func (d *desk) find(id, project string) (int, error) {
	i := slices.IndexFunc(d.tickets, func(t ticket) bool { return t.ID == id && t.Project == project })
	if i < 0 {
		return 0, fmt.Errorf("there is no ticket %s in project %s", id, project)
	}
	return i, nil
}

// state is what the witness looks at: how many tickets are left, and the comments on one.
func (d *desk) state(id string) (tickets, comments, mails int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.tickets {
		if t.ID == id {
			comments = len(t.Comments)
		}
	}
	return len(d.tickets), comments, d.mails
}
