package redisreplay_test

import (
	"context"
	"log"
	"os"

	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/redisreplay"
)

// A Guard that has replicas behind a load balancer.
func ExampleOpen() {
	const uri = "https://tickets.acme.example/mcp"
	memory, err := redisreplay.Open(context.Background(), redisreplay.Options{URL: os.Getenv("REDIS_URL"), Resource: uri})
	if err != nil {
		log.Fatal(err)
	}
	defer memory.Close()
	guard, err := resource.New(context.Background(), resource.Config{
		Issuer:     "https://id.acme.example",
		Resource:   uri,
		StateDir:   "/var/lib/tickets/remit", // each replica has its own
		PolicyFile: "remit.yaml",
		Replay:     memory,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer guard.Close()
}
