// Command remit is the authorization server and its administration. Package main is the only
// reader of flags, environment and configuration files, and the place where everything is wired;
// it holds no rule of the protocol.
//
//	config.go   settings: flags > environment > secret files > config.yaml
//	serve.go    the server with its listeners: public, ops, admin socket
//	ops.go      health, readiness and metrics
//	admin.go    how every other command reaches the server
//	user.go client.go resource.go task.go key.go audit.go policy.go doctor.go migrate.go config_cmd.go demo.go
//	            one file per subcommand
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands is the command line.
type commands struct {
	settings
	JSON    bool             `help:"Answer in JSON." short:"j"`
	Version kong.VersionFlag `help:"Print the version and exit."`

	Serve    serveCmd    `cmd:"" help:"Run the authorization server."`
	Demo     demoCmd     `cmd:"" help:"Play one delegated task on a demo MCP server, on this machine."`
	Migrate  migrateCmd  `cmd:"" help:"Bring the database to this version's schema."`
	User     userCmd     `cmd:"" help:"Users and their roles."`
	Client   clientCmd   `cmd:"" help:"OAuth clients: the AI applications."`
	Resource resourceCmd `cmd:"" help:"Protected MCP servers, their tools and Guards."`
	Task     taskCmd     `cmd:"" help:"Delegated tasks."`
	Kill     killCmd     `cmd:"" help:"Kill switches: stop a task, agent, user, tool, resource or everything for a while."`
	Finding  findingCmd  `cmd:"" help:"Findings: what a person should look at."`
	Key      keyCmd      `cmd:"" help:"Signing keys and the master key."`
	Backup   backupCmd   `cmd:"" help:"Copy the database to a file, while it is in use."`
	Restore  restoreCmd  `cmd:"" help:"Put a backup in the place of the database."`
	Epoch    epochCmd    `cmd:"" help:"What follows a restored backup."`
	Audit    auditCmd    `cmd:"" help:"The ledger."`
	Policy   policyCmd   `cmd:"" help:"Policy files: scope, role, tool, limits."`
	Doctor   doctorCmd   `cmd:"" help:"Find the broken link between an MCP server and its authorization server."`
	Gateway  gatewayCmd  `cmd:"" help:"Run a Guard before MCP servers in any language."`
	Config   configCmd   `cmd:"" help:"Settings."`

	DemoThief demoThiefCmd `cmd:"" hidden:""`
}

// app is what a command works with.
type app struct {
	flags   settings
	json    bool
	in      io.Reader
	out     io.Writer
	err     io.Writer
	environ []string

	restoring bool // the database may be an older one
}

// errSilent ends with status 1 after the command has said itself what is wrong.
var errSilent = errors.New("silent")

func main() {
	restrictFiles()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], app{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ()})
	stop()
	os.Exit(status)
}

// run executes one command line and returns the exit status: 0, 1 for a failure, 2 for a wrong
// command line or, of commands that judge a file, for one that cannot be judged.
func run(ctx context.Context, args []string, a app) int {
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help":
		args = append(slices.Clone(args[1:]), "--help")
	}
	var c commands
	parser, err := newParser(&c, kong.Writers(a.out, a.err), kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		fmt.Fprintln(a.err, "remit:", err)
		return 2
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(a.err, "remit: %s (see remit --help)\n", lines(err.Error()))
		return 2
	}
	a.flags, a.json = c.settings, c.JSON
	if err := parsed.Run(&a); err != nil {
		if !errors.Is(err, errSilent) {
			fmt.Fprintf(a.err, "remit: %s\n", lines(err.Error()))
		}
		if e, ok := errors.AsType[statusError](err); ok {
			return e.status
		}
		return 1
	}
	return 0
}

// newParser reads command lines into c.
func newParser(c *commands, opts ...kong.Option) (*kong.Kong, error) {
	return kong.New(c, append(opts,
		kong.Name("remit"),
		kong.Description("Remit lends AI agents a task: an OAuth 2.1 authorization server. Every agent stays within its remit."),
		kong.Vars{"version": version()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)...)
}

// version is the module's version, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel " + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}
