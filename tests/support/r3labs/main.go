// Receives events with r3labs/sse and tells a test about them, one JSON object per line.
package main

import (
	"encoding/json"
	"os"

	"github.com/r3labs/sse/v2"
)

func tell(name string, value interface{}) {
	if err := json.NewEncoder(os.Stdout).Encode(map[string]interface{}{name: value}); err != nil {
		panic(err)
	}
}

func main() {
	err := sse.NewClient(os.Args[1]).SubscribeRaw(func(message *sse.Event) {
		var data interface{}
		if err := json.Unmarshal(message.Data, &data); err != nil {
			tell("ended", err.Error())
			os.Exit(0)
		}
		tell("data", data)
	})
	if err != nil {
		panic(err)
	}
	tell("ended", nil)
}
