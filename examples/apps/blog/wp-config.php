<?php
// What is secret comes from files of /run/secrets.
function secret(string $name): string {
	return trim(file_get_contents("/run/secrets/$name"));
}

define('DB_NAME', 'blog');
define('DB_USER', 'blog');
define('DB_PASSWORD', secret('blog-db'));
// A component of the same service, by its name.
define('DB_HOST', 'db');
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
$table_prefix = 'wp_';

foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $purpose) {
	define($purpose . '_KEY', hash('sha256', secret('blog-keys') . $purpose . 'key'));
	define($purpose . '_SALT', hash('sha256', secret('blog-keys') . $purpose . 'salt'));
}

// WordPress is part of the image: it is updated by a deploy.
define('DISALLOW_FILE_MODS', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
// Do not ask the world for updates.
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('DISABLE_WP_CRON', true);

// The address under which clients reach the blog, whatever the port of the edge.
define('WP_SITEURL', 'https://' . ($_SERVER['HTTP_HOST'] ?? 'blog.localhost'));
define('WP_HOME', WP_SITEURL);

if (!defined('ABSPATH')) {
	define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
