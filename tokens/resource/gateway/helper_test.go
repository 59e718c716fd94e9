package gateway_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// childMode makes the test's own binary an MCP server on standard input and output.
const childMode = "GATEWAY_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childMode) != "" {
		(&childServer{}).run()
		return
	}
	os.Exit(m.Run())
}

// childServer is a server with bad manners: it prints what is no message, answers out of order and
// twice, answers what nobody asked, asks the agent for things, and tells all of everybody's calls.
type childServer struct {
	mu     sync.Mutex
	asked  chan string // what became of its question
	cancel sync.Map    // request id → chan struct{}
}

type childMessage struct {
	ID     json.RawMessage
	Method string
	Error  *struct{ Message string }
	Params struct {
		Name      string
		Arguments map[string]string
		Cursor    string
		RequestID json.RawMessage
	}
}

func (c *childServer) run() {
	c.asked = make(chan string, 1)
	fmt.Println("Welcome! This is no message.")
	fmt.Fprintln(os.Stderr, "child started, "+strings.Repeat("and very long, ", 400))
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var m childMessage
		if json.Unmarshal(in.Bytes(), &m) != nil {
			os.Exit(3)
		}
		go c.handle(m)
	}
}

func (c *childServer) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Printf(format+"\n", args...)
}

func (c *childServer) handle(m childMessage) {
	switch m.Method {
	case "initialize":
		c.say(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"logging":{}},"serverInfo":{"name":"child","version":"1"},"instructions":"Be kind."}}`, m.ID)
	case "tools/list":
		c.list(m)
	case "tools/call":
		c.call(m)
	case "notifications/cancelled":
		if waiting, ok := c.cancel.Load(string(m.Params.RequestID)); ok {
			close(waiting.(chan struct{}))
		}
	case "":
		if m.Error != nil {
			c.asked <- m.Error.Message
		}
	}
}

func (c *childServer) list(m childMessage) {
	tools := []string{"echo", "crash", "env", "ask", "slow", "delete"}
	from := 0
	if m.Params.Cursor != "" {
		from = 3
	}
	next := `,"nextCursor":"3"`
	if from == 3 {
		next = ""
	}
	var all []string
	for _, name := range tools[from : from+3] {
		all = append(all, `{"name":"`+name+`","description":"Does `+name+`","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}}`)
	}
	c.say(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[%s]%s}}`, m.ID, strings.Join(all, ","), next)
}

func (c *childServer) call(m childMessage) {
	text := m.Params.Arguments["text"]
	switch m.Params.Name {
	case "crash":
		fmt.Fprintln(os.Stderr, "child crashes")
		os.Exit(2)
	case "env":
		text = strings.Join(os.Environ(), "\n")
	case "ask":
		c.say(`{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{}}`)
		text = <-c.asked
	case "slow":
		waiting := make(chan struct{})
		c.cancel.Store(string(m.ID), waiting)
		fmt.Fprintln(os.Stderr, "slow begins")
		<-waiting
		fmt.Fprintln(os.Stderr, "slow was cancelled")
		text = "too late"
	}
	c.say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":%q}}`, text)
	time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond) // so that answers overtake each other
	raw, err := json.Marshal(text)
	if err != nil {
		os.Exit(4)
	}
	answer := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":%s}]}}`, m.ID, raw)
	c.say("%s", answer)
	c.say("%s", answer)
	c.say(`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"for nobody"}]}}`)
}
