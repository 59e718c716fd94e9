package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// loot is what the thief has: the token as it stood in a log, and where it was meant for.
type loot struct {
	URL       string         `json:"url"`
	Token     string         `json:"token"`
	Tool      string         `json:"tool"`
	Arguments map[string]any `json:"arguments"`
}

// attempt is what the thief tells of one try.
type attempt struct {
	How    string `json:"how"`
	Status int    `json:"status"`
	Error  string `json:"error"` // of the challenge, or of the structured denial
}

// Thief is the second process of the scene: it reads what it stole from in, tries to use it, and
// writes one JSON line per try to out. It has the token, and not the agent's key.
func Thief(ctx context.Context, in io.Reader, out io.Writer) error {
	var l loot
	if err := json.NewDecoder(in).Decode(&l); err != nil {
		return fmt.Errorf("thief: %w", err)
	}
	tools := &blackbox.Tools{URL: l.URL}
	body := blackbox.CallBody(l.Tool, l.Arguments)
	own := blackbox.NewKey()
	tries := []struct {
		how  string
		send func() (blackbox.Response, error)
	}{
		{"as a bearer token", func() (blackbox.Response, error) {
			return tools.Post(ctx, "tools/call", l.Tool, body, blackbox.Header{Name: "Authorization", Value: "Bearer " + l.Token})
		}},
		{"without a proof", func() (blackbox.Response, error) {
			return tools.Post(ctx, "tools/call", l.Tool, body, blackbox.Header{Name: "Authorization", Value: "DPoP " + l.Token})
		}},
		{"with a key of its own", func() (blackbox.Response, error) {
			return tools.Call(ctx, own, l.Token, l.Tool, l.Arguments)
		}},
	}
	lines := json.NewEncoder(out)
	for _, try := range tries {
		res, err := try.send()
		if err != nil {
			return fmt.Errorf("thief: %w", err)
		}
		if err := lines.Encode(attempt{How: try.how, Status: res.Status, Error: refusalOf(res)}); err != nil {
			return err
		}
	}
	return nil
}

// refusalOf is the machine-readable word of an answer: the error of its DPoP challenge, else of
// the first challenge that has one, else of the denial in its body.
func refusalOf(res blackbox.Response) string {
	challenges := blackbox.Challenges(res)
	for _, scheme := range []string{"dpop", ""} {
		for _, c := range challenges {
			if (scheme == "" || c.Scheme == scheme) && c.Params["error"] != "" {
				return c.Params["error"]
			}
		}
	}
	code, _ := blackbox.Denial(res)["code"].(string)
	return code
}

// steal runs the thief in a process of its own.
func steal(cmd *exec.Cmd, l loot) ([]attempt, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("thief: %w", err)
	}
	werr := json.NewEncoder(in).Encode(l)
	in.Close()
	var all []attempt
	for d := json.NewDecoder(out); ; {
		var a attempt
		if err := d.Decode(&a); err != nil {
			break // the end of its story; Wait tells whether it was a good one
		}
		all = append(all, a)
	}
	if err := cmd.Wait(); err != nil {
		return all, fmt.Errorf("thief: %w", err)
	}
	return all, werr
}
