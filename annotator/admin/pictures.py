"""Pictures that texts show: uploaded, looked at, taken away while no text shows them."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from annotator.errors import FileProblem, InvalidInput, PicturesRejected
from annotator.models import Campaign, Picture
from annotator.services.picture_files import from_stream
from annotator.services.pictures import PictureReport, add_pictures, remove_pictures
from annotator.services.uploads import check_upload

from .base import ReadOnlyAdmin

PLAIN = re.compile(r"[\w./-]+")


class FilesInput(forms.ClearableFileInput):
    """Several files at once."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """A list of uploaded files."""

    widget = FilesInput

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile]:
        """Each by itself."""
        return [super(FilesField, self).clean(one, initial) for one in data or [None]]


class PicturesForm(forms.Form):
    """Upload of pictures."""

    files = FilesField(
        help_text="PNG, JPEG, WebP or GIF, up to 100 at once, or ZIP archives of them. Texts show "
        "one as ![words](picture:NAME), where NAME is the file's name, with its folders in an "
        "archive.",
    )
    keep_location = forms.BooleanField(
        required=False,
        label="Keep locations",
        help_text="Files are kept as they are, and annotators can read what a camera wrote into "
        "them. Those that say where they were taken are refused, unless you tick this.",
    )


@admin.register(Picture)
class PictureAdmin(ReadOnlyAdmin):
    """The pictures of the campaigns that this person steers."""

    list_display = ["name", "campaign", "look", "media_type", "width", "height", "size"]
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter), "media_type"]
    list_select_related = ["campaign"]
    search_fields = ["name", "sha256"]
    readonly_fields = ["look", "in_texts"]
    actions = ["remove"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may see campaigns."""
        may: bool = request.user.has_perm("annotator.view_campaign")
        return may or self.has_steer_permission(request)

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Pictures belong to their campaign."""
        may: bool = request.user.has_perm("annotator.change_campaign")
        return may

    @admin.display(description="picture")
    def look(self, picture: Picture) -> SafeString:
        """Small, and whole behind it."""
        where = reverse("picture", args=[picture.campaign.slug, picture.sha256])
        shown = '<a href="{0}"><img src="{0}" alt="{1}" height="48" loading="lazy"></a>'
        return format_html(shown, where, picture.name)

    @admin.display(description="in texts")
    def in_texts(self, picture: Picture) -> str:
        """What to write."""
        where = f"picture:{picture.name}"
        return f"![words]({where})" if PLAIN.fullmatch(picture.name) else f"![words](<{where}>)"

    @admin.action(description="Remove pictures that no text shows", permissions=["steer"])
    def remove(self, request: HttpRequest, queryset: QuerySet[Picture]) -> None:
        """All that were chosen, or none."""
        chosen: dict[Campaign, list[str]] = {}
        for picture in queryset.select_related("campaign"):
            chosen.setdefault(picture.campaign, []).append(picture.name)
        for campaign, names in chosen.items():
            try:
                gone = remove_pictures(campaign=campaign, names=names)
            except InvalidInput as error:
                messages.error(request, f"{campaign}: {error}")
            else:
                messages.success(request, f"{campaign}: {gone} removed.")

    def get_urls(self) -> list[URLPattern]:
        """One more page: the upload."""
        wrap = self.admin_site.admin_view
        where = path("upload/<int:pk>/", wrap(self.upload_view), name="campaign_pictures")
        return [where, *super().get_urls()]

    def upload_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Upload files; each that cannot be shown is named, and then nothing is stored."""
        campaign = get_object_or_404(Campaign.objects.steered_by(request.user), pk=pk)
        if not self.has_steer_permission(request):
            raise PermissionDenied
        sent = (request.POST, request.FILES) if request.method == "POST" else ()
        form = PicturesForm(*sent)
        problems: tuple[FileProblem, ...] = ()
        if form.is_valid():
            try:
                messages.success(request, str(_stored(campaign, form.cleaned_data, request)))
                return HttpResponseRedirect(request.path)
            except PicturesRejected as error:
                problems = error.problems
            except InvalidInput as error:
                form.add_error("files", str(error))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Pictures of {campaign}",
            "campaign": campaign,
            "opts": self.opts,
            "form": form,
            "problems": problems,
            "known": campaign.pictures.count(),
        }
        return render(request, "admin/annotator/campaign/pictures.html", context)


def _stored(campaign: Campaign, sent: dict[str, Any], request: HttpRequest) -> PictureReport:
    for file in sent["files"]:
        check_upload(file)
    return add_pictures(
        campaign=campaign,
        sources=[one for file in sent["files"] for one in from_stream(file.name, file)],
        keep_location=sent["keep_location"],
        user=request.user,
    )
