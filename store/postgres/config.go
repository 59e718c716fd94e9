package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// How long a verb may take, all in all: a store that is slower is answered with 503. The database is
// told to give up a little earlier, so that most outcomes are known.
const (
	verbTimeout      = 1900 * time.Millisecond
	statementTimeout = 1700 * time.Millisecond
	lockTimeout      = 1500 * time.Millisecond
	connectTimeout   = 1500 * time.Millisecond
	idleTxTimeout    = 3 * time.Second
	defaultConns     = 16
)

// patient is how long these options wait where others wait for d.
func (o Options) patient(d time.Duration) time.Duration { return d * max(1, o.patience) }

// poolConfig is the pool for this URL. Settings that the URL makes itself stay.
func poolConfig(url string, opts Options) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, badURL(err)
	}
	switch {
	case opts.MaxConns > 0:
		config.MaxConns = int32(opts.MaxConns)
	case !strings.Contains(url, "pool_max_conns"):
		config.MaxConns = defaultConns
	}
	config.ConnConfig.ConnectTimeout = opts.patient(connectTimeout)
	if opts.dial != nil {
		config.ConnConfig.DialFunc = opts.dial
	}
	config.ConnConfig.StatementCacheCapacity = 1024 // more than there are statements
	for name, value := range map[string]string{
		"application_name":                    "remit",
		"timezone":                            "UTC",
		"synchronous_commit":                  "on", // an answer is durable
		"statement_timeout":                   fmt.Sprint(opts.patient(statementTimeout).Milliseconds()),
		"lock_timeout":                        fmt.Sprint(opts.patient(lockTimeout).Milliseconds()),
		"idle_in_transaction_session_timeout": fmt.Sprint(opts.patient(idleTxTimeout).Milliseconds()),
		"default_transaction_isolation":       "read committed",
		"jit":                                 "off",
	} {
		if _, set := config.ConnConfig.RuntimeParams[name]; !set {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error { return claimLane(ctx, c) }
	return config, nil
}

func badURL(err error) error {
	return fmt.Errorf("postgres: the database URL cannot be used: %w", unsecret(err))
}

var (
	passwordInURL  = regexp.MustCompile(`(://[^:/@\s]*):[^@\s]*@`)
	passwordInList = regexp.MustCompile(`(?i)(password\s*=\s*)('[^']*'|\S+)`)
)

// unsecret is the error without the password that an error about a URL may quote.
func unsecret(err error) error {
	text := err.Error()
	clean := passwordInList.ReplaceAllString(passwordInURL.ReplaceAllString(text, "$1:…@"), "$1…")
	if clean == text {
		return err
	}
	return errors.New(clean)
}

// Name is the database URL without its password, for messages.
func Name(database string) string {
	u, err := url.Parse(database)
	if err != nil {
		return "postgres"
	}
	return u.Redacted()
}
