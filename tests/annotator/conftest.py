"""The cast: ruth the researcher, ada and ben who annotate, sam the stranger."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator.models import Campaign
from annotator.services.campaigns import add_member
from tests.campaigns import ask, make_campaign


def person(name: str, **fields: bool) -> User:
    """A user who can sign in with their own name."""
    return User.objects.create_user(name, password=name, **fields)


def signed_in(user: User) -> Client:
    """A browser of this person."""
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def ada(db: None) -> User:
    return person("ada")


@pytest.fixture
def ben(db: None) -> User:
    return person("ben")


@pytest.fixture
def sam(db: None) -> User:
    return person("sam")


@pytest.fixture
def ruth(db: None) -> User:
    return person("ruth", is_staff=True, is_superuser=True)


@pytest.fixture
def campaign(ada: User, ben: User, ruth: User) -> Campaign:
    """Running, six questions in the queue, ada and ben may answer."""
    made = make_campaign(people=(ada, ben))
    add_member(campaign=made, user=ruth, role="owner")
    ask(made)
    return made


@pytest.fixture
def as_ada(ada: User) -> Client:
    return signed_in(ada)


@pytest.fixture
def as_ben(ben: User) -> Client:
    return signed_in(ben)


@pytest.fixture
def as_sam(sam: User) -> Client:
    return signed_in(sam)


@pytest.fixture
def as_ruth(ruth: User) -> Client:
    return signed_in(ruth)
