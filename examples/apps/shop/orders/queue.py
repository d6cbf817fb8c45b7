"""The queue of orders, a list in Redis."""

import redis
from django.conf import settings

NAME = "orders"
# An order is here while a worker has it, and goes back if the worker ends meanwhile.
TAKEN = "orders-taken"


def connect():
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=5)
