"""Queues in the database: installed once, and a doorbell gets through."""

from collections.abc import Iterator

import pytest
from celery import Celery
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from kombu import Queue

from config.broker import PGMQ, QUEUES, choose_broker, conninfo, install_queue_schema


@pytest.fixture
def queues(transactional_db: None) -> Iterator[None]:
    """Have pgmq in the tests' database, and nothing of it afterwards."""
    assert install_queue_schema() is True
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA pgmq CASCADE")


@pytest.mark.django_db
def test_the_schema_is_installed_only_once() -> None:
    assert install_queue_schema() is True
    assert install_queue_schema() is False


def test_a_doorbell_gets_through_the_database(queues: None) -> None:
    broker = choose_broker("", database=connection.settings_dict)
    assert broker.in_database
    app = Celery("test", broker=broker.url, set_as_current=False)
    app.conf.broker_transport_options = broker.transport_options
    app.conf.task_queues = [Queue(name) for name in QUEUES]
    with app.connection_for_write() as link:
        app.send_task("worker.run_job", args=[7], queue="learning", connection=link)
        with link.SimpleQueue("learning") as inbox:
            message = inbox.get(timeout=5)
            message.ack()
        with link.SimpleQueue("default") as other:
            assert other.qsize() == 0
    assert message.headers["task"] == "worker.run_job"
    assert message.payload[0] == [7]


def test_without_an_address_the_database_is_the_broker() -> None:
    database = settings.DATABASES["default"]
    assert choose_broker("", database=database).url == PGMQ
    assert choose_broker("pgmq://", database=database).url == PGMQ
    assert not choose_broker("redis://r/0", database=database).in_database


@pytest.mark.parametrize("url", ["filesystem://", "sqla+sqlite:///x", "pgmq://h/d", "redis"])
def test_other_brokers_are_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="BROKER_URL"):
        choose_broker(url, database=settings.DATABASES["default"])


@pytest.mark.parametrize("url", ["", "redis://r/0", "rediss://r/0", "amqp://r//"])
def test_every_transport_waits_for_a_bounded_time(url: str) -> None:
    options = choose_broker(url, database=settings.DATABASES["default"]).transport_options
    assert options["max_retries"] == 1
    waits = [value for name, value in options.items() if name.endswith("_timeout")]
    assert all(value <= 5 for value in waits if value != options.get("visibility_timeout"))


def test_a_socket_and_a_password_survive_the_way_to_libpq() -> None:
    text = conninfo(
        {
            "NAME": "labels",
            "USER": "me",
            "PASSWORD": "it's @ \\ secret",
            "HOST": "/var/My Data",
            "PORT": "",
            "OPTIONS": {"sslmode": "require", "pool": {"max_size": 3}},
        }
    )
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(text)
    assert parts["host"] == "/var/My Data"
    assert parts["password"] == "it's @ \\ secret"
    assert parts["sslmode"] == "require"
    assert "pool" not in parts
