"""Settings. What differs between hosts comes from the environment and from secrets."""

import os
from pathlib import Path


def secret(name):
    return Path("/run/secrets", name).read_text().strip()


VERSION = "1"

SECRET_KEY = secret("shop-key")
DEBUG = False
# The edge passes on requests for the hostnames of the routes alone; the other is the
# health check's.
ALLOWED_HOSTS = ["*"]
# The edge speaks TLS with clients.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

INSTALLED_APPS = ["django.contrib.contenttypes", "orders"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
USE_I18N = False
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = os.environ["REDIS_URL"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["DATABASE_HOST"],
        "NAME": "shop",
        "USER": "shop",
        "PASSWORD": secret("shop-db"),
        "OPTIONS": {"connect_timeout": 5},
    }
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
