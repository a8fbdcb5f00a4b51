"""Where finished exports are kept: a folder, or a bucket that speaks S3."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from config import env

FOLDER = {"BACKEND": "annotator.storage.SnapshotFiles"}


def snapshot_storage() -> dict[str, Any]:
    """Django's description of the store; `SNAPSHOT_S3_BUCKET` makes it a bucket.

    Keys are boto3's own business: `AWS_ACCESS_KEY_ID` and the like, a profile, or a role.
    """
    bucket = env.text("SNAPSHOT_S3_BUCKET", "")
    if not bucket:
        return FOLDER
    if find_spec("storages") is None or find_spec("boto3") is None:
        raise ImproperlyConfigured(
            "SNAPSHOT_S3_BUCKET needs the extra s3: pip install 'tiebreak[s3]'."
        )
    options = {
        "bucket_name": bucket,
        "location": env.text("SNAPSHOT_S3_PREFIX", "snapshots"),
        "endpoint_url": env.text("SNAPSHOT_S3_ENDPOINT", "") or None,
        "region_name": env.text("SNAPSHOT_S3_REGION", "") or None,
        "file_overwrite": False,
        "default_acl": None,  # the bucket decides, and nothing is public by an export
        "querystring_auth": True,
        "querystring_expire": env.integer("SNAPSHOT_S3_LINK_SECONDS", 3600, minimum=60),
        "signature_version": "s3v4",
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
