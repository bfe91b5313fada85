package clusterlocaltest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// callTimeout is for a call, and for those that wait in addition to their own time.
const callTimeout = 60 * time.Second

// An Error is a failure that the server reported. The cluster is unchanged, except after a timeout.
type Error struct {
	// Code is the HTTP status code.
	Code int `json:"code"`
	// Reason is that of the Status: NotFound, BadRequest, ExpectationFailed, Timeout.
	Reason string `json:"reason"`
	// Message explains the failure.
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

// api calls the HTTP API of a server. Goroutines may share it.
type api struct {
	url    string
	client *http.Client
}

func newAPI(url string) *api {
	return &api{url, &http.Client{Transport: &http.Transport{}}}
}

// call sends a request and decodes the reply into result; wait is how long the server may wait.
func (a *api) call(method, path string, body, result any, wait time.Duration) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(method, a.url+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	if body == nil {
		request.Body, request.ContentLength = nil, 0
	}
	client := *a.client
	client.Timeout = callTimeout + wait
	reply, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("the server at %s does not answer: %w", a.url, err)
	}
	defer func() { _ = reply.Body.Close() }()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return fmt.Errorf("the server at %s does not answer: %w", a.url, err)
	}
	if reply.StatusCode >= 400 {
		failure := &Error{Code: reply.StatusCode}
		if err := json.Unmarshal(text, failure); err != nil {
			failure.Message = string(text)
		}
		return failure
	}
	return json.Unmarshal(text, result)
}

// arguments of a verb.
type arguments map[string]any

// change calls a verb of the fixture protocol.
func (a *api) change(verb string, given arguments, wait time.Duration) (*Change, error) {
	change := new(Change)
	if err := a.call(http.MethodPost, "/fixture/"+verb, given, change, wait); err != nil {
		return nil, err
	}
	return change, nil
}

// span returns a duration as the API reads it.
func span(duration time.Duration) string {
	return fmt.Sprintf("%dms", duration.Milliseconds())
}
