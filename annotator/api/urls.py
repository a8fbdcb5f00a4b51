"""REST addresses, under /api/."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from annotator.api import (
    campaigns,
    docs,
    estimates,
    exports,
    finetuning,
    imports,
    judges,
    loop,
    pool,
    record,
    webhooks,
    work,
)

CAMPAIGN = "campaigns/<slug:slug>/"

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", docs.page, name="api-docs"),
    path("campaigns/", campaigns.CampaignList.as_view(), name="api-campaigns"),
    path(CAMPAIGN, campaigns.CampaignDetail.as_view(), name="api-campaign"),
    path(f"{CAMPAIGN}state/", campaigns.CampaignState.as_view(), name="api-campaign-state"),
    path(f"{CAMPAIGN}guidelines/", campaigns.GuidelinesList.as_view(), name="api-guidelines"),
    path(
        f"{CAMPAIGN}guidelines/<int:version>/read/",
        work.GuidelinesRead.as_view(),
        name="api-guidelines-read",
    ),
    path(f"{CAMPAIGN}members/", campaigns.MemberList.as_view(), name="api-members"),
    path(f"{CAMPAIGN}items/", pool.ItemList.as_view(), name="api-items"),
    path(f"{CAMPAIGN}items/<path:item>/", pool.ItemDetail.as_view(), name="api-item"),
    path(f"{CAMPAIGN}imports/", imports.ImportList.as_view(), name="api-imports"),
    path("imports/<uuid:pk>/", imports.ImportDetail.as_view(), name="api-import"),
    path("imports/<uuid:pk>/confirm/", imports.ImportConfirm.as_view(), name="api-import-confirm"),
    path("imports/<uuid:pk>/rejects/", imports.ImportRejects.as_view(), name="api-import-rejects"),
    path(f"{CAMPAIGN}queries/", record.QueryList.as_view(), name="api-queries"),
    path(f"{CAMPAIGN}queries/<int:pk>/", record.QueryDetail.as_view(), name="api-query"),
    path(f"{CAMPAIGN}annotations/", record.AnnotationList.as_view(), name="api-annotations"),
    path(f"{CAMPAIGN}annotators/", record.AnnotatorList.as_view(), name="api-annotators"),
    path(f"{CAMPAIGN}rounds/", loop.RoundList.as_view(), name="api-rounds"),
    path(f"{CAMPAIGN}rounds/<int:number>/", loop.RoundDetail.as_view(), name="api-round"),
    path(
        f"{CAMPAIGN}rounds/<int:number>/retry/", loop.RoundRetry.as_view(), name="api-round-retry"
    ),
    path(f"{CAMPAIGN}models/", loop.ModelList.as_view(), name="api-models"),
    path(f"{CAMPAIGN}metrics/", loop.Metrics.as_view(), name="api-metrics"),
    path(f"{CAMPAIGN}encoders/", finetuning.EncoderList.as_view(), name="api-encoders"),
    path(
        f"{CAMPAIGN}encoders/estimates/",
        estimates.EstimateList.as_view(),
        name="api-encoder-estimates",
    ),
    path(
        "encoder-estimates/<int:pk>/",
        estimates.EstimateDetail.as_view(),
        name="api-encoder-estimate",
    ),
    path("encoders/<int:pk>/", finetuning.EncoderDetail.as_view(), name="api-encoder"),
    path(
        "encoders/<int:pk>/cancel/", finetuning.EncoderCancel.as_view(), name="api-encoder-cancel"
    ),
    path("encoders/<int:pk>/use/", finetuning.EncoderUse.as_view(), name="api-encoder-use"),
    path(
        "encoders/<int:pk>/roll-back/",
        finetuning.EncoderRollBack.as_view(),
        name="api-encoder-roll-back",
    ),
    path(
        "encoders/<int:pk>/download/",
        finetuning.EncoderDownload.as_view(),
        name="api-encoder-download",
    ),
    path(f"{CAMPAIGN}judges/", judges.JudgeList.as_view(), name="api-judges"),
    path("judges/<int:pk>/", judges.JudgeDetail.as_view(), name="api-judge"),
    path("judges/<int:pk>/judgements/", judges.JudgementList.as_view(), name="api-judgements"),
    path("judges/<int:pk>/report/", judges.JudgeReportDetail.as_view(), name="api-judge-report"),
    path(f"{CAMPAIGN}next/", work.Next.as_view(), name="api-next"),
    path(f"{CAMPAIGN}undo/", work.Undo.as_view(), name="api-undo"),
    path("assignments/<uuid:pk>/", work.AssignmentDetail.as_view(), name="api-assignment"),
    path("assignments/<uuid:pk>/annotation/", work.AnnotationOf.as_view(), name="api-annotation"),
    path("assignments/<uuid:pk>/lease/", work.Lease.as_view(), name="api-lease"),
    path(f"{CAMPAIGN}webhooks/", webhooks.WebhookList.as_view(), name="api-webhooks"),
    path("webhooks/<int:pk>/", webhooks.WebhookDetail.as_view(), name="api-webhook"),
    path("webhooks/<int:pk>/test/", webhooks.WebhookTest.as_view(), name="api-webhook-test"),
    path("webhooks/<int:pk>/deliveries/", webhooks.DeliveryList.as_view(), name="api-deliveries"),
    path(
        "webhooks/<int:pk>/deliveries/<uuid:delivery>/again/",
        webhooks.DeliveryAgain.as_view(),
        name="api-delivery-again",
    ),
    path(f"{CAMPAIGN}exports/", exports.ExportList.as_view(), name="api-exports"),
    path("exports/<uuid:pk>/", exports.ExportDetail.as_view(), name="api-export"),
    path(
        "exports/<uuid:pk>/difference/",
        exports.ExportDifference.as_view(),
        name="api-export-difference",
    ),
    path(
        "exports/<uuid:pk>/download/", exports.ExportDownload.as_view(), name="api-export-download"
    ),
]
