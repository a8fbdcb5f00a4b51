"""Pages of annotators and researchers."""

from django.contrib.auth import views as auth_views
from django.urls import path
from django.views.i18n import set_language

from annotator.views import (
    annotate,
    campaigns,
    curation,
    exports,
    finetuning,
    judges,
    mine,
    onboarding,
    pictures,
    session,
)

urlpatterns = [
    path("", campaigns.home, name="home"),
    path("signin/", session.SignIn.as_view(), name="signin"),
    path("signin/here/", session.sign_in_here, name="signin-here"),
    path("signout/", auth_views.LogoutView.as_view(), name="signout"),
    path("c/<slug:slug>/", annotate.workspace, name="workspace"),
    path("c/<slug:slug>/ahead/", annotate.ahead, name="ahead"),
    path("c/<slug:slug>/guidelines/", annotate.guidelines, name="guidelines"),
    path("c/<slug:slug>/practice/", onboarding.practice, name="practice"),
    path("c/<slug:slug>/qualification/", onboarding.qualification, name="qualification"),
    path("c/<slug:slug>/pictures/<slug:sha256>/", pictures.picture, name="picture"),
    path("c/<slug:slug>/undo/", annotate.undo, name="undo"),
    path("c/<slug:slug>/mine/", mine.answers, name="mine"),
    path("c/<slug:slug>/progress/", campaigns.progress, name="progress"),
    path("c/<slug:slug>/judges/", judges.judges, name="judges"),
    path("c/<slug:slug>/encoders/", finetuning.encoders, name="encoders"),
    path("c/<slug:slug>/encoders/estimate/", finetuning.estimate, name="encoder-estimate"),
    path("c/<slug:slug>/encoders/<int:number>/cancel/", finetuning.cancel, name="encoder-cancel"),
    path("c/<slug:slug>/encoders/<int:number>/use/", finetuning.use, name="encoder-use"),
    path(
        "c/<slug:slug>/encoders/<int:number>/roll-back/",
        finetuning.roll_back,
        name="encoder-roll-back",
    ),
    path(
        "c/<slug:slug>/encoders/<int:number>/download/",
        finetuning.download,
        name="encoder-download",
    ),
    path("c/<slug:slug>/curation/", curation.curation, name="curation"),
    path("c/<slug:slug>/exports/", exports.export, name="export"),
    path("c/<slug:slug>/exports/<uuid:pk>/cancel/", exports.cancel, name="export-cancel"),
    path("c/<slug:slug>/exports/<uuid:old>/<uuid:new>/", exports.compared, name="exports-compared"),
    path("a/<uuid:assignment_id>/answer/", annotate.answer, name="answer"),
    path("a/<uuid:assignment_id>/draft/", annotate.draft, name="draft"),
    path("a/<uuid:assignment_id>/change/", mine.change, name="change"),
    path("keys/", mine.key_page, name="keys"),
    path("language/", set_language, name="set_language"),
]
