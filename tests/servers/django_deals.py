"""Django REST framework on a table of deals, on a port of its own choosing: a list API that others wrote.

usage: python django_deals.py COUNT

The same deals are paged in three ways: /page/deals/, /cursor/deals/ and /offset/deals/. Who does not send the bearer
token `canary` is refused.
"""

import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["rest_framework"],
    # It says how long an answer is, which the server below does not.
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "UNAUTHENTICATED_USER": None,
    },
    ROOT_URLCONF=__name__,
    USE_TZ=True,
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework import generics, pagination, permissions, serializers  # noqa: E402


class Deal(models.Model):
    title = models.CharField(max_length=100)
    stage = models.CharField(max_length=20)
    status = models.CharField(max_length=20)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    confidence = models.DecimalField(max_digits=4, decimal_places=3)
    created = models.DateTimeField()

    class Meta:
        app_label = "crm"


class DealSerializer(serializers.ModelSerializer):
    class Meta:
        model = Deal
        fields = "__all__"


class HasToken(permissions.BasePermission):
    def has_permission(self, request, view):
        return request.headers.get("Authorization") == "Bearer canary"


class ByPage(pagination.PageNumberPagination):
    page_size = 20
    page_size_query_param = "page_size"
    max_page_size = 50


class ByCursor(pagination.CursorPagination):
    page_size = 20
    ordering = "id"


class ByOffset(pagination.LimitOffsetPagination):
    default_limit = 20
    max_limit = 50


class Deals(generics.ListAPIView):
    queryset = Deal.objects.order_by("id")
    serializer_class = DealSerializer
    permission_classes = [HasToken]


urlpatterns = [
    path(f"{way}/deals/", Deals.as_view(pagination_class=paginator))
    for way, paginator in [("page", ByPage), ("cursor", ByCursor), ("offset", ByOffset)]
]


def fill(count):
    with connection.schema_editor() as editor:
        editor.create_model(Deal)
    Deal.objects.bulk_create(
        Deal(
            title=f'Deal {i} ä "quoted"',
            stage=["New", "Proposal", "Done"][i % 3],
            status=["open", "open", "won"][i % 3],
            amount=f"{100 + i // 4}.{i % 4 * 25:02}",
            currency="EUR",
            confidence=f"0.{i % 101:03}",
            created="2026-01-31T10:00:00Z",
        )
        for i in range(1, count + 1)
    )


class Silent(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


fill(int(sys.argv[1]))
with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Silent) as server:
    print(f"listening on http://127.0.0.1:{server.server_port} ", flush=True)
    server.serve_forever()
