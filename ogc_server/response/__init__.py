"""respons-cepat (U9): events are noticed, answered, published and told, without a person's doing."""
