"""How gunicorn serves the site; the command line may override any of it."""

from config import env

wsgi_app = "config.wsgi:application"
worker_class = "gthread"
bind = [env.text("WEB_BIND", "127.0.0.1:8000")]
workers = env.integer("WEB_WORKERS", 1, minimum=1)
threads = env.integer("WEB_THREADS", 8, minimum=1)
timeout = 120
graceful_timeout = 20
keepalive = 5
# A worker is replaced now and then, never all at once: a slow leak cannot add up.
max_requests = env.integer("WEB_MAX_REQUESTS", 0)
max_requests_jitter = max_requests // 10
worker_tmp_dir = env.text("WEB_HEARTBEAT_DIR", "") or None
accesslog = "-" if env.boolean("WEB_ACCESS_LOG", False) else None
control_socket_disable = True  # one socket in the home folder would be shared by every instance
