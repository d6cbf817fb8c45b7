from django.conf import settings
from django.db import connection
from django.http import HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import get_object_or_404

from orders import queue
from orders.models import Order, Report


def index(request):
    return JsonResponse({"version": settings.VERSION, "orders": Order.objects.count()})


def healthz(request):
    """Answers if the database can be used. Without the queue the shop still shows orders."""
    with connection.cursor() as cursor:
        cursor.execute("select 1")
    return HttpResponse("ok")


def create(request):
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    order = Order.objects.create(item=request.POST["item"])
    queue.connect().lpush(queue.NAME, order.pk)
    return JsonResponse({"number": order.pk}, status=201)


def show(request, number):
    order = get_object_or_404(Order, pk=number)
    return JsonResponse({"number": order.pk, "item": order.item, "state": order.state})


def reports(request):
    return JsonResponse({"reports": [r.shipped for r in Report.objects.order_by("pk")]})
