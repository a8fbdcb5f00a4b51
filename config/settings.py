"""Django settings: everything an operator can change is read from the environment.

Each variable is explained in ``.env.example``. Nothing here may import the learning side:
the web process starts without it.
"""

from importlib.metadata import version
from pathlib import Path

from csp.constants import NONE, SELF
from kombu import Queue

from config import env
from config.broker import CONNECT_SECONDS, QUEUES, choose_broker
from config.logs import logging_settings
from config.storage import snapshot_storage

BASE_DIR = env.BASE_DIR
VERSION = version("tiebreak")
VAR_DIR = env.var_dir()
DEBUG = env.boolean("DEBUG", False)

# --- secrets and addresses -------------------------------------------------------------
SECRET_KEY = env.secret_key(VAR_DIR)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")

# --- applications ----------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "django_htmx",
    "csp",
    "config",
    "annotator",
]
MIDDLEWARE = [
    "config.middleware.request_id",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "annotator.middleware.Language",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "annotator.middleware.ErrorsToHttp",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- database and broker ---------------------------------------------------------------
DATABASE_URL = env.database_url()
DATABASES = {"default": env.database("DATABASE_URL", DATABASE_URL)}
DATABASES["default"] |= env.connection_reuse(DATABASES["default"]["OPTIONS"])
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
BROKER = choose_broker(env.text("BROKER_URL", ""), database=DATABASES["default"])

# --- people ----------------------------------------------------------------------------
LOGIN_URL = "/signin/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = LOGIN_URL
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = env.integer("SESSION_DAYS", 14, minimum=1) * 24 * 3600
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_HTTPONLY = False  # our own script sends the token with each request

# --- transport security ----------------------------------------------------------------
HTTPS = env.boolean("HTTPS", False)  # the site is reached over HTTPS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = env.boolean("SSL_REDIRECT", HTTPS)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # probes speak plain HTTP
SECURE_HSTS_SECONDS = env.integer("HSTS_SECONDS", 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.boolean("HSTS_SUBDOMAINS", False)
if env.boolean("TRUST_PROXY", False):  # a proxy of ours sets (and overwrites) the header
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

# --- files -----------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.text("STATIC_ROOT", str(VAR_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
# Hashed names can be cached for ever, but need `collectstatic`; DEBUG serves files as they are.
_STORAGE = (
    "django.contrib.staticfiles.storage.StaticFilesStorage"
    if DEBUG
    else "whitenoise.storage.CompressedManifestStaticFilesStorage"  # gzip, once: pages stay light
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": _STORAGE},
    "snapshots": snapshot_storage(),
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG
MEDIA_ROOT = VAR_DIR / "media"

# --- limits ----------------------------------------------------------------------------
MAX_FIELD_CHARS = 1_000_000
MAX_UPLOAD_BYTES = env.integer("MAX_UPLOAD_MB", 1024, minimum=1) * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024  # one answer may hold several long texts
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024  # larger files go to disk while they arrive
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

# --- background work -------------------------------------------------------------------
JOB_LEASE_SECONDS = env.integer("JOB_LEASE_SECONDS", 60, minimum=2)
JOB_HEARTBEAT_SECONDS = env.integer(
    "JOB_HEARTBEAT_SECONDS", max(1, JOB_LEASE_SECONDS // 4), minimum=1, maximum=JOB_LEASE_SECONDS
)
WEBHOOK_PRIVATE = env.boolean("WEBHOOK_PRIVATE", False)  # webhooks may go inside the network
JUDGE_HOSTS = env.words("JUDGE_HOSTS")  # where judges may be asked; none named: anywhere
SWEEP_SECONDS = env.integer("SWEEP_SECONDS", 10, minimum=1)
KEEP_UPLOADS_DAYS = env.integer("KEEP_UPLOADS_DAYS", 30, minimum=1)
ENCODER = env.text("TIEBREAK_ENCODER", "default")
TORCH_THREADS = env.integer("TORCH_THREADS", 2, minimum=1)
FINETUNE_NICE = env.integer("FINETUNE_NICE", 10, minimum=0, maximum=19)
FINETUNE_MEMORY_MB = env.integer("FINETUNE_MEMORY_MB", 0, minimum=0)  # 0: what is free
CELERY_BROKER_URL = BROKER.url
CELERY_BROKER_TRANSPORT_OPTIONS = BROKER.transport_options
CELERY_BROKER_CONNECTION_TIMEOUT = CONNECT_SECONDS
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # workers wait for their broker
CELERY_BROKER_POOL_LIMIT = 4
CELERY_TASK_PUBLISH_RETRY = False  # the sweep repeats a doorbell that failed
CELERY_TASK_DEFAULT_QUEUE = QUEUES[0]
CELERY_TASK_QUEUES = [Queue(name) for name in QUEUES]
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# pgmq cannot carry remote control: the names of its reply queues are too long for it.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = not BROKER.in_database
CELERY_WORKER_HIJACK_ROOT_LOGGER = False  # LOGGING below is for workers too
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    # A sweep nobody fetched in time is pointless: the next one is on its way.
    "sweep": {
        "task": "worker.sweep",
        "schedule": float(SWEEP_SECONDS),
        "options": {"queue": "default", "expires": float(SWEEP_SECONDS * 3)},
    },
    "tidy": {
        "task": "worker.tidy",
        "schedule": 3600.0,
        "options": {"queue": "default", "expires": 3600.0},
    },
}
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")
CELERY_BEAT_SYNC_EVERY = 1  # written after every sweep: `config.probe` looks at its age

# --- REST ------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "annotator.api.problems.handle",
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "annotator.api.schema.Described",
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"user": env.rate("API_RATE", "1200/min")},
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.AcceptHeaderVersioning",
    "DEFAULT_VERSION": "1",
    "ALLOWED_VERSIONS": ["1"],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Tiebreak",
    "DESCRIPTION": "Active preference labelling: campaigns, answers and the data set, over HTTP.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api",
    "POSTPROCESSING_HOOKS": ["annotator.api.schema.finished"],
    "ENUM_NAME_OVERRIDES": {
        "CampaignState": "annotator.models.Campaign.State",
        "RoundState": "annotator.models.Round.State",
        "SnapshotState": "annotator.models.Snapshot.State",
    },
}

# --- language, time, logs --------------------------------------------------------------
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "German")]  # one more for each complete translation
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600  # what somebody chose stands for a year
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = HTTPS
USE_TZ = True
TIME_ZONE = env.text("TIME_ZONE", "UTC")
LOGGING = logging_settings(
    style=env.choice("LOG_FORMAT", "text", ["text", "json"]),
    level=env.choice("LOG_LEVEL", "info", ["debug", "info", "warning", "error"]).upper(),
)
