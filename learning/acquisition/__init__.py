"""Acquisition functions: score candidates, pick a batch. One file a function."""

from learning.acquisition.base import Method
from learning.acquisition.registry import METHODS, get
from learning.acquisition.wrappers import Common, Recipe

__all__ = ["METHODS", "Common", "Method", "Recipe", "get"]
