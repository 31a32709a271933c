"""`output_scores`: what a model makes of its output head's products, for trainer and server alike.

Both project only the positions or tokens that they look at, and not with the model's own forward:
what a family does to its scores afterwards has to be done here.
"""

from typing import Any

__all__ = ["output_scores"]


def output_scores(config: Any, products: Any) -> Any:
    """Scale and cap the products of hidden states and the head's rows as a family does.

    Args:
        config: the model's; ``logits_scaling`` divides (Granite), ``logit_scale`` multiplies
            (Cohere), ``final_logit_softcapping`` bounds them smoothly (Gemma 2).
        products: a tensor of any shape.
    """
    divisor = getattr(config, "logits_scaling", None)
    factor = getattr(config, "logit_scale", None)
    cap = getattr(config, "final_logit_softcapping", None)
    if divisor is not None:
        products = products / divisor
    if factor is not None:
        products = products * factor
    if cap is not None:
        products = (products / cap).tanh() * cap
    return products
