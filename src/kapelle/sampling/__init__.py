"""From logits to tokens: `options` says how, `filters` shapes one distribution, `decode` makes a sequence of them."""
