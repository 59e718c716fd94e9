package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// mara is the user of the demo.
const (
	maraEmail = "mara@demo.example"
	maraName  = "Mara (demo user)"
)

// newPassword is short enough to type and long enough for a server on loopback that lives minutes.
func newPassword() string {
	t := strings.ToLower(rand.Text())
	return t[:4] + "-" + t[4:8] + "-" + t[8:12]
}

// invite shows a person the page, and opens it where there is a display.
func (s *scene) invite(address string) {
	s.say.text("Open this page, sign in, and decide what the agent may do:")
	s.say.address(address)
	s.say.text("e-mail    "+maraEmail, "password  "+s.password)
	if !s.say.colour || os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return
	}
	opener, err := exec.LookPath("xdg-open")
	if err != nil {
		return
	}
	cmd := exec.Command(opener, address)
	if cmd.Start() == nil {
		go cmd.Wait()
	}
}

// chosen are the tools that the script allows: those that the page proposes.
var chosen = []string{"search_tickets", "get_ticket", "add_comment"}

// decide plays the person: it opens the page as a browser without scripts, judges what it shows,
// signs in, allows what the page proposes, and follows the redirect to the agent.
func (s *scene) decide(ctx context.Context, address string) error {
	b := &blackbox.Browser{Email: maraEmail, Password: s.password}
	at, err := b.Get(ctx, address)
	if err != nil {
		return err
	}
	if at, err = b.SignIn(ctx, at); err != nil {
		return err
	}
	if err := judgeConsent(at); err != nil {
		return err
	}
	if at, err = b.Decide(ctx, at, blackbox.Choice{}); err != nil {
		return err
	}
	if !at.Left || !strings.HasPrefix(at.URL, s.agent.callback.uri()+"?") {
		return fmt.Errorf("the browser came to rest at %s: %s", at.URL, at.Response)
	}
	res, err := blackbox.Get(ctx, at.URL)
	if err == nil && res.Status != 200 {
		err = fmt.Errorf("the agent's callback answered %s", res)
	}
	return err
}

// judgeConsent holds the consent page to what it must say: who asks, what for, where, for how long,
// and which tools, with nothing ticked that destroys or leaves the house.
func judgeConsent(at blackbox.Landing) error {
	_, form, ok := blackbox.ConsentForm(at)
	if !ok {
		return fmt.Errorf("no consent page at %s: %s", at.URL, at.Response)
	}
	all, ticked := form.Values("tool")
	slices.Sort(all)
	slices.Sort(ticked)
	want := slices.Sorted(slices.Values(chosen))
	if !slices.Equal(all, []string{"add_comment", "delete_ticket", "email_customer", "get_ticket", "search_tickets"}) {
		return fmt.Errorf("the page offers %v", all)
	}
	if !slices.Equal(ticked, want) {
		return fmt.Errorf("the page proposes %v, want %v", ticked, want)
	}
	if _, for_ := form.Values("duration"); !slices.Equal(for_, []string{"1800"}) {
		return fmt.Errorf("the page proposes %v seconds, want 1800", for_)
	}
	for _, text := range []string{"Demo Agent", purpose, "Tickets", maraEmail, "127.0.0.1"} {
		if !strings.Contains(at.Page.Text, text) {
			return fmt.Errorf("the page does not say %q", text)
		}
	}
	return nil
}

// within waits for a condition of the running system, asking again until it holds or the time is
// over.
func within(ctx context.Context, limit time.Duration, holds func() (bool, error)) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	start := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := holds()
		if err != nil || ok {
			return time.Since(start), err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return time.Since(start), fmt.Errorf("not so within %v", limit)
		}
	}
}
