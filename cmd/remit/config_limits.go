package main

import (
	"fmt"
	"strconv"

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
	_, err := c.rateFactor()
	return err
}

// limits sets what the server is told about rate limits.
func (c Config) limits(into *server.Config) (err error) {
	into.RateFactor, err = c.rateFactor()
	return err
}
