"""Counts the orders that were shipped."""

from django.core.management.base import BaseCommand

from orders.models import Order, Report


class Command(BaseCommand):
    def handle(self, **options):
        report = Report.objects.create(shipped=Order.objects.filter(state="shipped").count())
        self.stdout.write(f"{report.shipped} orders shipped")
