"""Takes orders from the queue and ships them, until it is stopped."""

import signal
import sys
import time

import redis
from django.core.management.base import BaseCommand
from django.db import OperationalError, close_old_connections

from orders import queue
from orders.models import Order


class Command(BaseCommand):
    stopping = False

    def handle(self, **options):
        signal.signal(signal.SIGTERM, self.stop)
        while not self.stopping:
            try:
                self.work()
            except (redis.RedisError, OperationalError) as problem:
                # The queue or the database is away, as while it is updated.
                print(problem, file=sys.stderr, flush=True)
                close_old_connections()
                time.sleep(0.2)

    def stop(self, *_):
        self.stopping = True

    def work(self):
        orders = queue.connect()
        while not self.stopping:
            number = orders.brpoplpush(queue.NAME, queue.TAKEN, timeout=1)
            if number is None:
                # What another worker had when it ended.
                orders.rpoplpush(queue.TAKEN, queue.NAME)
                continue
            Order.objects.filter(pk=int(number)).update(state="shipped")
            orders.lrem(queue.TAKEN, 1, number)
