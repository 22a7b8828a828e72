"""Settings. INTEROP_CHANNEL_LAYER holds the channel layer as JSON: {"BACKEND": …, "CONFIG": {…}}."""

import json
import os

SECRET_KEY = "only-for-tests-that-listen-on-the-loopback-address"
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["channels"]
MIDDLEWARE = []
ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
DATABASES = {}
USE_TZ = True

CHANNEL_LAYERS = {"default": json.loads(os.environ["INTEROP_CHANNEL_LAYER"])}

CELERY_BROKER_URL = os.environ.get("INTEROP_CELERY_BROKER", "")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {name: {"handlers": ["stderr"], "level": "INFO"} for name in ("channels_redis", "django.channels")},
}
