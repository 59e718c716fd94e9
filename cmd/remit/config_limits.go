package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/remit-auth/remit/server"
)

// mostRateFactor is where more would mean nothing: no machine serves as much.
const mostRateFactor = 1_000_000

// rateFactor is what every rate limit is multiplied by; there is no way to turn limits off.
func (c Config) rateFactor() (float64, error) {
	if c.RateFactor == "" {
		return 1, nil
	}
	factor, err := strconv.ParseFloat(c.RateFactor, 64)
	if err != nil || !(factor > 0 && factor <= mostRateFactor) { // NaN is neither
		return 0, fmt.Errorf("REMIT_RATE_FACTOR: %q is not a number above 0 and at most %d", c.RateFactor, mostRateFactor)
	}
	return factor, nil
}

// checkLimits refuses a factor that would mean no limits, or no service.
func (c Config) checkLimits() error {
	_, err1 := c.rateFactor()
	_, err2 := c.rememberFor()
	return errors.Join(err1, err2)
}

// rememberFor is how long users may let a choice go on.
func (c Config) rememberFor() (time.Duration, error) {
	if c.RememberDays == "" {
		return rememberDays * 24 * time.Hour, nil
	}
	days, err := strconv.Atoi(c.RememberDays)
	if err != nil || days < 0 || days > mostRememberDays {
		return 0, fmt.Errorf("REMIT_REMEMBER_DAYS: %q is not a number of days from 0, which means never, to %d", c.RememberDays, mostRememberDays)
	}
	return time.Duration(days) * 24 * time.Hour, nil
}

// For how many days choices go on where nothing else is said, and at most.
const (
	rememberDays     = 7
	mostRememberDays = 30
)

// limits sets what the server is told about rate limits.
func (c Config) limits(into *server.Config) (err error) {
	if into.RateFactor, err = c.rateFactor(); err == nil {
		into.Remember, err = c.rememberFor()
	}
	return err
}
