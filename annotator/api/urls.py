"""REST addresses, under /api/."""

from django.urls import path

from annotator.api import campaigns, exports

urlpatterns = [
    path("campaigns/", campaigns.CampaignList.as_view(), name="api-campaigns"),
    path("campaigns/<slug:slug>/", campaigns.CampaignDetail.as_view(), name="api-campaign"),
    path("campaigns/<slug:slug>/exports/", exports.ExportList.as_view(), name="api-exports"),
    path("exports/<uuid:pk>/", exports.ExportDetail.as_view(), name="api-export"),
    path(
        "exports/<uuid:pk>/download/", exports.ExportDownload.as_view(), name="api-export-download"
    ),
]
