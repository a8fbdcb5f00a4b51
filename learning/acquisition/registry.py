"""All acquisition functions by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from learning.acquisition import (
    ae_borda,
    aepo_subset,
    air_filter,
    apl_two_stage,
    bald,
    bald_power,
    balpm,
    bayes_guro,
    coldstart,
    delta_ucb,
    dopt,
    drts,
    dts,
    entropy,
    epig,
    guro,
    infomax,
    margin_large,
    margin_small,
    maxmin_lcb,
    pairs_sort,
    pilaf_pool,
    random,
    random_unique,
    vopt,
)
from learning.acquisition.base import Method
from learning.errors import ConfigError

METHODS: Final[Mapping[str, Method]] = {
    method.name: method
    for method in (
        random.METHOD,
        random_unique.METHOD,
        dopt.METHOD,
        vopt.METHOD,
        balpm.METHOD,
        bald.METHOD,
        bald_power.METHOD,
        coldstart.METHOD,
        guro.METHOD,
        bayes_guro.METHOD,
        epig.METHOD,
        margin_small.METHOD,
        margin_large.METHOD,
        entropy.METHOD,
        apl_two_stage.METHOD,
        ae_borda.METHOD,
        delta_ucb.METHOD,
        drts.METHOD,
        dts.METHOD,
        infomax.METHOD,
        maxmin_lcb.METHOD,
        pilaf_pool.METHOD,
        aepo_subset.METHOD,
        air_filter.METHOD,
        pairs_sort.METHOD,
    )
}


def get(name: str) -> Method:
    """Return an acquisition function.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in METHODS:
        raise ConfigError(f"unknown acquisition {name!r}; there are {', '.join(sorted(METHODS))}")
    return METHODS[name]
