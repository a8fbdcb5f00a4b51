"""Routing policies: who answers a question, a person or the judge. One file a policy."""

from learning.routing.policies.base import AUDIT_SHARE, PILOT, Knowledge, Policy
from learning.routing.policies.registry import DEFAULT_POLICY, POLICIES, get

__all__ = ["AUDIT_SHARE", "DEFAULT_POLICY", "PILOT", "POLICIES", "Knowledge", "Policy", "get"]
