package proxy_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/metacircular/mcp/edge/proxy"
)

func hash(t testing.TB, password string) string {
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	require.NoError(t, err)
	return string(h)
}

func TestBasicAuth(t *testing.T) {
	f := newFront(t, proxy.Options{})
	r := plain("shop.example", "", heard(t))
	r.BasicAuth = map[string]string{"ann": hash(t, "right"), "bad": "not a hash", "dear": "$2a$31$" + hash(t, "x")[7:]}
	f.publish("shop", r)
	address := f.listen(80)
	ask := func(user, password string) reply {
		request := post(t, address, "/", nil)
		if user != "" {
			request.SetBasicAuth(user, password)
		}
		response, err := http.DefaultTransport.RoundTrip(request)
		require.NoError(t, err)
		answered, _ := read(t, response)
		return answered
	}
	for range 2 { // the second time the outcome is remembered
		for _, c := range []struct {
			user, password string
			status         int
		}{
			{"", "", 401}, {"ann", "right", 200}, {"ann", "wrong", 401}, {"ann", "", 401}, {"Ann", "right", 401},
			{"nemo", "right", 401}, {"bad", "not a hash", 401}, {"dear", "x", 401}, {"ann", string(pattern(5000)), 401},
		} {
			response := ask(c.user, c.password)
			require.Equal(t, c.status, response.StatusCode, "%s %s", c.user, c.password)
			if c.status == 401 {
				require.Equal(t, `Basic realm="shop.example", charset="UTF-8"`, response.Header.Get("WWW-Authenticate"))
			}
		}
	}
	require.Equal(t, 6, f.Compared(), "three of ann, and three of users that there are not, who share a hash")

	r.BasicAuth = map[string]string{"ann": hash(t, "other")}
	f.publish("shop", r)
	require.Equal(t, 401, ask("ann", "right").StatusCode)
	require.Equal(t, 200, ask("ann", "other").StatusCode)
}

func TestManyPasswordsAtOnceAreBounded(t *testing.T) {
	f := newFront(t, proxy.Options{})
	r := plain("shop.example", "", named(t, "site"))
	r.BasicAuth = map[string]string{"ann": hash(t, "right")}
	f.publish("shop", r)
	address := f.listen(80)
	var all sync.WaitGroup
	statuses := make(chan int, 500)
	release := f.HoldComparisons()
	for i := range 400 {
		all.Go(func() {
			request := post(t, address, "/", nil)
			request.SetBasicAuth("ann", fmt.Sprint(i))
			response, err := http.DefaultTransport.RoundTrip(request)
			if err == nil {
				response.Body.Close()
				statuses <- response.StatusCode
			}
		})
	}
	for range 400 - 256 {
		require.Equal(t, 503, receive(t, statuses))
	}
	release()
	all.Wait()
	for range 256 {
		require.Equal(t, 401, receive(t, statuses))
	}
}

func TestAHeldRouteAsksForThePasswordFirst(t *testing.T) {
	f := newFront(t, proxy.Options{})
	r := plain("shop.example", "", named(t, "site"))
	r.BasicAuth, r.Held = map[string]string{"ann": hash(t, "right")}, true
	f.publish("shop", r)
	response, _ := get(t, f.listen(80), "shop.example", "/")
	require.Equal(t, 401, response.StatusCode)
}

func TestAnUnknownUserCostsAsMuchAsAKnownOne(t *testing.T) {
	expensive, err := bcrypt.GenerateFromPassword([]byte("x"), 6)
	require.NoError(t, err)
	unknown := proxy.Unknown(map[string]string{"ann": hash(t, "x"), "bob": string(expensive)})
	cost, err := bcrypt.Cost([]byte(unknown))
	require.NoError(t, err)
	require.Equal(t, 6, cost)
	require.Len(t, unknown, len(expensive))
	require.ErrorIs(t, bcrypt.CompareHashAndPassword([]byte(unknown), []byte("x")), bcrypt.ErrMismatchedHashAndPassword)
}
