package apps_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const shopURL = "https://shop.localhost"

// shop is Django with Postgres, Redis, a worker, a job and migrations.
type shop struct {
	*app
	version   int    // of the sources
	migration string // the last one of the sources
	orders    int
}

func newShop(t *testing.T) application {
	s := &shop{app: newApp(t, "shop"), version: 1, migration: "0001_initial"}
	s.secret("shop-db", "the password of the database")
	s.secret("shop-key", "the key of signatures")
	return s
}

func (s *shop) first(t *testing.T) {
	s.app = s.again(t)
	s.deploy("web", "worker", "db", "queue")
	s.shows(1)
	s.order()
	require.Contains(t, s.must("run", "shop/report").stdout, "1 orders shipped")
	require.JSONEq(t, `{"reports": [1]}`, s.get(shopURL+"/reports"))
}

func (s *shop) update(t *testing.T) {
	s.app = s.again(t)
	former := s.version

	s.release(s.version + 1)
	s.migrate(fmt.Sprintf("%04d_note", s.version), fmt.Sprintf(`migrations.AddField("order", "note%d", models.TextField(null=True))`, s.version))
	s.deploy("web", "worker")
	s.shows(s.version)
	s.order()
	require.Equal(t, s.version, s.migrations())

	s.release(s.version + 1)
	s.migrate("9999_broken", `migrations.AddField("order", "lost", models.TextField(null=True)), migrations.RunSQL("select 1 / 0")`)
	failed := s.mcp("deploy", "shop")
	require.Equal(t, 1, failed.code, failed)
	require.Contains(t, failed.stderr, "division by zero", failed)
	s.shows(s.version - 1)
	s.order()
	require.Equal(t, s.version-1, s.migrations(), "Postgres has undone the migration")
	require.NoError(t, os.Remove(s.source("orders/migrations/9999_broken.py")))
	s.release(s.version - 1)
	s.migration = fmt.Sprintf("%04d_note", s.version)

	s.must("rollback", "shop", "--wait")
	s.shows(former)
	s.order()
	require.Equal(t, s.version, s.migrations(), "a rollback leaves the database")
	s.deploy("web", "worker")
}

func (s *shop) rebooted(t *testing.T) {
	s.app = s.again(t)
	s.eventually("the shop serves again", func() error { _, err := s.try(shopURL + "/"); return err })
	s.shows(s.version)
	s.order()
	s.must("run", "shop/report")
	s.undeploy()
	got, err := s.try(shopURL + "/")
	require.Error(t, err, got)
}

// release gives the sources and the definition another version.
func (s *shop) release(version int) {
	s.Helper()
	s.change("shop/settings.py", fmt.Sprintf(`VERSION = "%d"`, s.version), fmt.Sprintf(`VERSION = "%d"`, version))
	s.redefine(fmt.Sprintf("/shop:v%d", s.version), fmt.Sprintf("/shop:v%d", version))
	s.version = version
}

// migrate adds a migration to the sources.
func (s *shop) migrate(name, operations string) {
	s.Helper()
	s.write("orders/migrations/"+name+".py", fmt.Sprintf(`from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", %q)]
    operations = [%s]
`, s.migration, operations))
	s.migration = name
}

// migrations counts those of the database.
func (s *shop) migrations() (count int) {
	s.Helper()
	r := s.must("exec", "shop/db", "--", "psql", "--username", "shop", "--tuples-only", "--command",
		"select count(*) from django_migrations where app = 'orders'")
	_, err := fmt.Sscan(regexp.MustCompile(`\d+`).FindString(r.stdout), &count)
	require.NoError(s, err, r)
	return count
}

// shows asks the shop for its version.
func (s *shop) shows(version int) {
	s.Helper()
	var index struct {
		Version string
		Orders  int
	}
	require.NoError(s, json.Unmarshal([]byte(s.get(shopURL+"/")), &index))
	require.Equal(s, fmt.Sprint(version), index.Version)
	require.Equal(s, s.orders, index.Orders)
}

// order orders something, and waits until the worker has shipped it.
func (s *shop) order() {
	s.Helper()
	var order struct{ Number int }
	require.NoError(s, json.Unmarshal([]byte(s.post(http.StatusCreated, shopURL+"/orders", "item=chair")), &order))
	s.orders++
	s.eventually("the order is shipped", func() error {
		body, err := s.try(fmt.Sprintf("%s/orders/%d", shopURL, order.Number))
		if err == nil && !strings.Contains(body, `"shipped"`) {
			err = fmt.Errorf("the order is %s", body)
		}
		return err
	})
}
