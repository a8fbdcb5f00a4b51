"""Django's own admin, where researchers steer. One module per concern."""

from django.contrib import admin

from . import campaigns, gold, imports, judges, loop, pictures, records, webhooks

admin.site.site_header = admin.site.site_title = "Tiebreak"
admin.site.index_title = "Campaigns and their workers"

__all__ = ["campaigns", "gold", "imports", "judges", "loop", "pictures", "records", "webhooks"]
