# One image for web, workers, beat and migrations; docker-compose.yml picks the command.
#
#   docker build -t tiebreak:0.1.0 .
#
# pip's own variables choose where packages come from. An index with CPU-only wheels of torch
# makes the image much smaller:  --build-arg PIP_EXTRA_INDEX_URL=…
FROM python:3.11-slim-bookworm

ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1 \
    TOKENIZERS_PARALLELISM=false \
    DJANGO_SETTINGS_MODULE=config.settings \
    STATIC_ROOT=/app/staticfiles \
    TIEBREAK_VAR=/var/lib/tiebreak \
    WEB_BIND=0.0.0.0:8000 \
    WEB_HEARTBEAT_DIR=/dev/shm

RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/tiebreak --create-home tiebreak
WORKDIR /app

# Dependencies first: they change less often than the code. The packages are empty for now.
COPY pyproject.toml requirements.lock README.md LICENSE ./
RUN mkdir annotator config learning worker \
    && touch annotator/__init__.py config/__init__.py learning/__init__.py worker/__init__.py \
    && pip install --no-cache-dir -c requirements.lock -e '.[encoder]'

COPY . .
# Needs settings, but neither a database nor a real key.
RUN SECRET_KEY=build DATABASE_URL=postgresql://build@localhost/build TIEBREAK_VAR=/tmp/build \
    python manage.py collectstatic --no-input

USER tiebreak
VOLUME /var/lib/tiebreak
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["gunicorn", "--config=python:config.gunicorn"]
