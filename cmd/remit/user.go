package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

type userCmd struct {
	Add      userAddCmd    `cmd:"" help:"Add a user."`
	List     userListCmd   `cmd:"" help:"List users."`
	Show     userShowCmd   `cmd:"" help:"Show a user with all roles."`
	Disable  userAbleCmd   `cmd:"" help:"Disable a user and end the user's tasks."`
	Enable   userEnableCmd `cmd:"" help:"Enable a user again."`
	Role     userWorkCmd   `cmd:"" help:"Change what a user may do and read in Remit itself."`
	Assign   userRoleCmd   `cmd:"" help:"Give a user a role at a resource."`
	Unassign userUnroleCmd `cmd:"" help:"Take a role away."`
}

type userAddCmd struct {
	Email         string `required:"" help:"E-mail address to sign in with."`
	Name          string `required:"" help:"Name to show."`
	ConsoleRole   string `default:"user" enum:"user,viewer,revoker,admin" help:"What the user may do in Remit itself: user, viewer, revoker, admin."`
	ReadArgs      bool   `help:"Beside the console role, let the user read the values of arguments (audit.read_args)."`
	PasswordStdin bool   `help:"Read the password from the first line of standard input."`
}

// user is a user as the server shows one.
type user struct {
	ID          string              `json:"id"`
	Email       string              `json:"email"`
	Name        string              `json:"name"`
	ConsoleRole string              `json:"console_role"`
	ReadArgs    bool                `json:"read_args"`
	Disabled    bool                `json:"disabled"`
	CreatedAt   time.Time           `json:"created_at"`
	Roles       map[string][]string `json:"roles"`
}

// Run adds the user.
func (c *userAddCmd) Run(ctx context.Context, a *app) error {
	in := map[string]any{"email": c.Email, "name": c.Name, "console_role": c.ConsoleRole, "read_args": c.ReadArgs}
	if c.PasswordStdin {
		line, err := bufio.NewReader(io.LimitReader(a.in, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if in["password"] = strings.TrimRight(line, "\r\n"); in["password"] == "" {
			return errors.New("standard input has no password in its first line")
		}
	}
	return ask(ctx, a, "users", nil, in, func(u user) error {
		_, err := fmt.Fprintf(a.out, "added %s (%s)\n", plain(u.Email), u.ID)
		return err
	})
}

type userListCmd struct{}

// Run lists the users.
func (c *userListCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "users", nil, nil, func(out struct{ Users []user }) error {
		var rows [][]string
		for _, u := range out.Users {
			rows = append(rows, []string{u.Email, u.Name, u.work(), able(u.Disabled), u.ID, shortTime(u.CreatedAt)})
		}
		return table(a.out, []string{"EMAIL", "NAME", "CONSOLE ROLE", "STATE", "ID", "ADDED"}, rows)
	})
}

// work is what a user may do in Remit itself.
func (u user) work() string {
	if u.ReadArgs {
		return plain(u.ConsoleRole) + " +args"
	}
	return plain(u.ConsoleRole)
}

func able(disabled bool) string {
	if disabled {
		return "disabled"
	}
	return "enabled"
}

type userShowCmd struct {
	Email string `required:"" help:"E-mail address or id."`
}

// Run shows the user.
func (c *userShowCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "users/show", url.Values{"user": {c.Email}}, nil, func(u user) error {
		fmt.Fprintf(a.out, "%s, %s, %s, %s, %s\n", plain(u.Email), plain(u.Name), u.work(), able(u.Disabled), u.ID)
		for _, uri := range slices.Sorted(maps.Keys(u.Roles)) {
			fmt.Fprintf(a.out, "  %s: %s\n", plain(uri), plain(strings.Join(u.Roles[uri], ", ")))
		}
		return nil
	})
}

type userAbleCmd struct {
	Email string `required:"" help:"E-mail address or id."`
	disabling
}

// Run disables the user.
func (c *userAbleCmd) Run(ctx context.Context, a *app) error {
	return c.run(ctx, a, "users/disable", map[string]string{"user": c.Email}, url.Values{"user": {c.Email}}, c.Email)
}

// disabling is what every kill switch takes.
type disabling struct {
	Reason string `help:"Why, for the ledger."`
	DryRun bool   `help:"Only say which tasks would end."`
}

// run throws the switch, or says what it would do.
func (c *disabling) run(ctx context.Context, a *app, path string, in map[string]string, target url.Values, name string) error {
	if c.DryRun {
		return ask(ctx, a, "dryrun", target, nil, func(out struct {
			WouldEnd []string `json:"would_end"`
		},
		) error {
			fmt.Fprintf(a.out, "%s: %d tasks would end\n", plain(name), len(out.WouldEnd))
			for _, id := range out.WouldEnd {
				fmt.Fprintln(a.out, plain(id))
			}
			return nil
		})
	}
	in["reason"] = c.Reason
	return ask(ctx, a, path, nil, in, func(out struct {
		EndedTasks []string `json:"ended_tasks"`
	},
	) error {
		_, err := fmt.Fprintf(a.out, "disabled %s; %d tasks ended\n", plain(name), len(out.EndedTasks))
		return err
	})
}

type userEnableCmd struct {
	Email  string `required:"" help:"E-mail address or id."`
	Reason string `help:"Why, for the ledger."`
}

// Run enables the user.
func (c *userEnableCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "users/enable", nil, map[string]string{"user": c.Email, "reason": c.Reason}, func(struct{}) error {
		_, err := fmt.Fprintf(a.out, "enabled %s\n", plain(c.Email))
		return err
	})
}

type userWorkCmd struct {
	Email       string `required:"" help:"E-mail address or id."`
	ConsoleRole string `enum:",user,viewer,revoker,admin" default:"" help:"user, viewer, revoker or admin; as it is when left out."`
	ReadArgs    *bool  `help:"Let the user read the values of arguments (audit.read_args), or, with =false, no more; as it is when left out. The right ends with the console role."`
	Reason      string `help:"Why, for the ledger."`
}

// Run changes the console role, or the right to read arguments, or both at once.
func (c *userWorkCmd) Run(ctx context.Context, a *app) error {
	in := map[string]any{"user": c.Email, "reason": c.Reason}
	if c.ConsoleRole != "" {
		in["console_role"] = c.ConsoleRole
	}
	if c.ReadArgs != nil {
		in["read_args"] = *c.ReadArgs
	}
	if len(in) == 2 {
		return errors.New("say what changes: --console-role, --read-args or --read-args=false")
	}
	return ask(ctx, a, "users/role", nil, in, func(u user) error {
		_, err := fmt.Fprintf(a.out, "%s is %s\n", plain(u.Email), u.work())
		return err
	})
}

type userRoleCmd struct {
	Email    string `required:"" help:"E-mail address or id."`
	Resource string `required:"" help:"URI of the resource." placeholder:"URI"`
	Role     string `required:"" help:"Role of its policy file."`
}

// Run assigns the role.
func (c *userRoleCmd) Run(ctx context.Context, a *app) error { return c.move(ctx, a, "users/assign") }

type userUnroleCmd struct{ userRoleCmd }

// Run takes the role away.
func (c *userUnroleCmd) Run(ctx context.Context, a *app) error {
	return c.move(ctx, a, "users/unassign")
}

func (c *userRoleCmd) move(ctx context.Context, a *app, path string) error {
	in := map[string]string{"user": c.Email, "resource": c.Resource, "role": c.Role}
	return ask(ctx, a, path, nil, in, func(out struct{ Roles []string }) error {
		held := "no role"
		if len(out.Roles) > 0 {
			held = strings.Join(out.Roles, ", ")
		}
		_, err := fmt.Fprintf(a.out, "%s has %s at %s\n", plain(c.Email), plain(held), plain(c.Resource))
		return err
	})
}
