"""Where each address leads."""

from django.contrib import admin
from django.urls import include, path, re_path

from annotator.api.docs import nothing_here
from annotator.views import health

handler400 = "annotator.views.broken.bad_request"
handler500 = "annotator.views.broken.server_error"

urlpatterns = [
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("admin/", admin.site.urls),
    path("api/", include("annotator.api.urls")),
    re_path("^api/", nothing_here),
    path("", include("annotator.urls")),
]
