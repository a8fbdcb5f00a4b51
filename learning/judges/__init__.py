"""LLM judges: models that answer the forms that people answer.

=================  ================================================================
``base``           what is asked and what comes back: `Ask`, `Call`, `Judge`
``forms``          compare, rank, best_worst, rate, accept: wording, reading, averaging
``verdict``        one weak order from all forms; one decision from both display orders
``templates``      prompts, versioned by their words
``replies``        from what a model wrote to a verdict, or to an error with a name
``errors``         those names
``asking``         a judge behind an endpoint
``endpoint``       the client of endpoints; the only module here that loads httpx2
``protocol``       the chat protocol as pure functions
``secret``         a key that does not get into logs
``money``          prices, and tokens before they are counted
``limits``         pace, budget, stop
``swapping``       one question in both display orders
``run``            many questions at once
``pointwise``      every form from yes or no about each response
``yes_no``         whoever says yes or no, and how likely
``causal``         a local language model
``filling``        a reply filled in choice by choice
``local``          a judge in this process
``served``         a server on this machine that speaks the chat protocol
``serve``          its command
``scorer``         the demo judge, which is no language model
``sections``       a prompt read back, for it
``calibration``    from what a judge says to how often people agree
``quality``        agreement, ECE, Brier, log-loss, reliability diagram
``bias``           sides, own kin, tags
``controls``       length, lists, markup, refusals
``related``        families of models, told by names
``labelled``       files that people and judges answered
``report``         all of that for one judge, and its command
=================  ================================================================

How to use them: ``docs/how-to/judges.md``.
"""
