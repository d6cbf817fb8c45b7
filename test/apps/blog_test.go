package apps_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const blogURL = "https://blog.localhost"

// blog is WordPress with nginx, php-fpm and MariaDB.
type blog struct {
	*app
	release int // a header of nginx.conf
	posts   []string
}

func newBlog(t *testing.T) application {
	b := &blog{app: newApp(t, "blog"), release: 1}
	for _, secret := range []string{"blog-db", "blog-root", "blog-keys"} {
		b.secret(secret, "it's \\ the secret of "+secret)
	}
	b.change("nginx.conf", "\tlisten 80;\n", "\tlisten 80;\n\tadd_header X-Release 1 always;\n")
	return b
}

func (b *blog) first(t *testing.T) {
	b.app = b.again(t)
	b.deploy("web", "php", "db")
	form := url.Values{
		"weblog_title": {"Notes of a fleet"}, "user_name": {"ann"}, "admin_password": {password}, "admin_password2": {password},
		"pw_weak": {"1"}, "admin_email": {"ann@blog.localhost"}, "blog_public": {"0"}, "language": {""},
	}
	installed := b.post(http.StatusOK, blogURL+"/wp-admin/install.php?step=2", form.Encode())
	require.Contains(t, installed, "WordPress has been installed")
	require.Contains(t, b.get(blogURL+"/"), "Notes of a fleet")
	require.Contains(t, b.get(blogURL+"/wp-includes/js/wp-embed.js"), "wp")
	b.publish("First words")
}

const password = "correct horse battery"

func (b *blog) update(t *testing.T) {
	b.app = b.again(t)
	// Each file is a part of the release.
	former := b.release
	b.to(b.release + 1)
	b.change("wp-config.php", "define('DB_CHARSET'", "define('WP_POST_REVISIONS', 3);\ndefine('DB_CHARSET'")
	b.deploy("web", "php")
	b.serves(b.release)
	b.publish("Words of a new version")

	b.change("nginx.conf", "\tlisten 80;\n", "\tlisten 80 eighty;\n")
	failed := b.mcp("deploy", "blog")
	require.Equal(t, 1, failed.code, failed)
	require.Contains(t, failed.stderr, "invalid parameter \"eighty\"", "the log of nginx")
	b.serves(b.release)
	b.change("nginx.conf", "\tlisten 80 eighty;\n", "\tlisten 80;\n")

	b.must("rollback", "blog", "--wait")
	b.serves(former)
	b.publish("Words after a rollback")
	b.change("wp-config.php", "define('WP_POST_REVISIONS', 3);\n", "")
	b.deploy("web")
	b.serves(b.release)
}

func (b *blog) rebooted(t *testing.T) {
	b.app = b.again(t)
	b.eventually("the blog serves again", func() error { _, err := b.try(blogURL + "/"); return err })
	b.serves(b.release)
	b.publish("Words after a reboot")
	b.undeploy()
}

// to changes the header of the release.
func (b *blog) to(release int) {
	b.Helper()
	b.change("nginx.conf", fmt.Sprintf("X-Release %d ", b.release), fmt.Sprintf("X-Release %d ", release))
	b.release = release
}

// serves asks for every post.
func (b *blog) serves(release int) {
	b.Helper()
	for _, post := range b.posts {
		request, err := http.NewRequest(http.MethodGet, blogURL+"/?p="+post, nil)
		require.NoError(b, err)
		got, err := b.do(request)
		require.NoError(b, err)
		require.Equal(b, http.StatusOK, got.status, got.body)
		require.Equal(b, fmt.Sprint(release), got.header.Get("X-Release"))
	}
}

// publish writes a post with WordPress's API for programs, and reads it.
func (b *blog) publish(text string) {
	b.Helper()
	value := func(of string) string { return "<param><value><string>" + of + "</string></value></param>" }
	call := "<?xml version=\"1.0\"?><methodCall><methodName>metaWeblog.newPost</methodName><params>" +
		value("1") + value("ann") + value(password) +
		"<param><value><struct><member><name>title</name><value><string>" + text + "</string></value></member></struct></value></param>" +
		"<param><value><boolean>1</boolean></value></param></params></methodCall>"
	answered := b.post(http.StatusOK, blogURL+"/xmlrpc.php", call)
	_, rest, ok := strings.Cut(answered, "<string>")
	post, _, _ := strings.Cut(rest, "</string>")
	require.True(b, ok && !strings.Contains(answered, "fault"), answered)
	b.posts = append(b.posts, post)
	require.Contains(b, b.get(blogURL+"/?p="+post), text)
}
