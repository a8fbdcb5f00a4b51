"""LLM judges: models that answer the forms that people answer.

=================  ================================================================
``base``           what is asked and what comes back: `Ask`, `Call`, `Judge`
``forms``          compare, rank, best_worst, rate, accept: wording, reading, averaging
``verdict``        one weak order from all forms; one decision from both display orders
``templates``      prompts, versioned by their words
``replies``        from what a model wrote to a verdict, or to an error with a name
``asking``         a judge behind an endpoint
``endpoint``       the client of endpoints; the only module here that loads httpx2
``limits``         pace, budget, stop
``swapping``       one question in both display orders
``run``            many questions at once
=================  ================================================================
"""
