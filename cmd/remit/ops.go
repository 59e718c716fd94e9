package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyTime is how long the stores may take to answer; a balancer that asks every half second knows
// of a store that is gone within two.
const readyTime = 750 * time.Millisecond

// opsHandler serves what a supervisor asks; it tells nothing about tasks, users or clients.
func opsHandler(i *instance, m *meter, l *leaving) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTime)
		defer cancel()
		if l.ask(time.Now()) || i.server.Ready(ctx) != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, "not ready")
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{DisableCompression: true}))
	return mux
}

// meter counts requests by route, never by what a caller wrote.
type meter struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMeter(i *instance) *meter {
	m := &meter{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "remit_http_requests_total", Help: "Requests answered, by route, method and status.",
		}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "remit_http_request_seconds", Help: "Time to answer, by route; streams are not in it.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"route"}),
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	counter := func(name, help string, labels prometheus.Labels, value func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, value)
	}
	m.registry.MustRegister(
		gauge("remit_consent_prompts_per_user_day", "Consent pages shown today per user who was asked.", func() float64 { return i.server.ConsentFigures().PromptsPerUser }),
		counter("remit_consent_decisions_total", "Answers to consent pages.", prometheus.Labels{"decision": "allow"}, func() float64 { return float64(i.server.ConsentFigures().Allowed) }),
		counter("remit_consent_decisions_total", "Answers to consent pages.", prometheus.Labels{"decision": "deny"}, func() float64 { return float64(i.server.ConsentFigures().Denied) }),
		counter("remit_consent_time_to_allow_seconds_total", "Time from a request to its yes, in sum.", nil, func() float64 { return i.server.ConsentFigures().SecondsToAllow }))
	m.registry.MustRegister(m.requests, m.seconds, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("remit_feeds_open", "Guards that listen to their feed here.", func() float64 { return float64(i.server.FeedsOpen()) }),
		counter("remit_executions_unrecorded_total", "Records that Guards keep in quarantine because this server refused them; it should be 0.", nil, func() float64 { return float64(i.server.Unrecorded()) }),
		gauge("remit_ledger_sealed_records", "Records under the newest checkpoint.", func() float64 { return float64(i.server.SealedRecords()) }),
		gauge("remit_signing_key_age_seconds", "How long ago the signing key began to sign.", i.server.KeyAge),
		gauge("remit_database_behind", "1 when the database is proven to be an older one, and no token is issued.", func() float64 {
			if i.server.Behind() != "" {
				return 1
			}
			return 0
		}),
		gauge("remit_ledger_sealed_seconds", "Unix time of the newest checkpoint.", func() float64 { return i.server.SealedAt() }))
	return m
}

// streams are left out of the times: they last as long as who listens.
func stream(route string) bool {
	return strings.HasSuffix(route, "/feed") || strings.HasSuffix(route, "/agents/live")
}

// count counts what next answers.
func (m *meter) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		routed := chi.NewRouteContext()
		sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(sw, r.WithContext(context.WithValue(r.Context(), chi.RouteCtxKey, routed)))
		route := routed.RoutePattern()
		if route == "" {
			route = "none"
		}
		m.requests.WithLabelValues(route, method(r.Method), strconv.Itoa(sw.status)).Inc()
		if !stream(route) {
			m.seconds.WithLabelValues(route).Observe(time.Since(began).Seconds())
		}
	})
}

// method is the request's method, when it is one that exists.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions:
		return m
	}
	return "other"
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

// WriteHeader remembers the first final status.
func (w *statusWriter) WriteHeader(status int) {
	if !w.wrote && status >= 200 {
		w.status, w.wrote = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts as 200 when nothing was said before.
func (w *statusWriter) Write(b []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(b)
}

// Unwrap lets feeds flush and set deadlines (http.ResponseController).
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
