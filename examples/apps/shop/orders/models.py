from django.db import models


class Order(models.Model):
    item = models.CharField(max_length=200)
    state = models.CharField(max_length=20, default="new")


class Report(models.Model):
    made = models.DateTimeField(auto_now_add=True)
    shipped = models.IntegerField()
